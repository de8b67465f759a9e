"""Adapters on disk: both formats are read strictly, and each fault has its sentence."""

import json
import shutil
from pathlib import Path

import attrs
import pytest
import torch
from safetensors.torch import load_file, save_file

from specframe import AdapterError
from specframe_kangaroo import (
    Adapter,
    AdapterConfig,
    Checkpoint,
    check_base,
    load_checkpoint,
    save_checkpoint,
)

REFERENCE = Path(__file__).parent / "golden" / "train" / "wide4-e2"
SHAPE = AdapterConfig(hidden_size=16, num_attention_heads=4, num_key_value_heads=2)
LLAMA_CONFIG = {"hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2}


@pytest.fixture
def adapter():
    torch.manual_seed(0)
    return Adapter(SHAPE)


def write_reference(folder, tensors, config=None, name="model.safetensors"):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config or LLAMA_CONFIG))
    if name.endswith(".bin"):
        torch.save(tensors, folder / name)
    else:
        save_file(tensors, folder / name)
    return folder


def refusal(folder):
    with pytest.raises(AdapterError) as caught:
        load_checkpoint(folder)
    return str(caught.value)


def assert_same(one, other):
    assert one.config == other.config
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_what_is_saved_is_loaded(tmp_path, adapter):
    saved = Checkpoint(
        adapter,
        exit_layer=3,
        steps=5,
        threshold=0.25,
        tree_threshold=0.3,
        fingerprint="abc",
        metadata={"num_steps": 7},
    )
    save_checkpoint(tmp_path / "new" / "adapter", saved)
    loaded = load_checkpoint(tmp_path / "new" / "adapter")
    assert_same(loaded.adapter, adapter)
    for field in ("exit_layer", "steps", "threshold", "tree_threshold", "fingerprint", "metadata"):
        assert getattr(loaded, field) == getattr(saved, field)


def test_nothing_but_the_two_files_is_left_behind(tmp_path, adapter):
    save_checkpoint(tmp_path, Checkpoint(adapter))
    save_checkpoint(tmp_path, Checkpoint(adapter, steps=2))
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    assert load_checkpoint(tmp_path).steps == 2


def test_a_failed_write_leaves_the_old_file(tmp_path, adapter, monkeypatch):
    save_checkpoint(tmp_path, Checkpoint(adapter))
    before = (tmp_path / "model.safetensors").read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(tmp_path, Checkpoint(Adapter(SHAPE)))
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


def test_own_rotary_base_is_kept(tmp_path):
    save_checkpoint(tmp_path, Checkpoint(Adapter(attrs.evolve(SHAPE, rope_theta=5e5))))
    assert load_checkpoint(tmp_path).adapter.config.rope_theta == 5e5


def test_a_saved_adapter_can_be_trained_on(tmp_path, adapter):
    save_checkpoint(tmp_path, Checkpoint(adapter))
    assert all(weight.requires_grad for weight in load_checkpoint(tmp_path).adapter.parameters())


@pytest.mark.golden
def test_a_reference_release_loads():
    checkpoint = load_checkpoint(REFERENCE)
    assert checkpoint.adapter.config == AdapterConfig(32, 4, 4, rms_norm_eps=1e-6)
    assert (checkpoint.exit_layer, checkpoint.fingerprint) == (None, None)
    stored = torch.load(REFERENCE / "pytorch_model.bin", weights_only=True)
    assert torch.equal(checkpoint.adapter.norm.weight, stored["norm.weight"])


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_parallel_prefixes_and_unused_tensors_are_passed_over(tmp_path, adapter, name):
    tensors = {f"module.{key}": value for key, value in adapter.state_dict().items()}
    tensors["module.embed_tokens.weight"] = torch.zeros(3, 16)
    tensors["module.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(2)
    folder = write_reference(tmp_path / "a", tensors, name=name)
    assert_same(load_checkpoint(folder).adapter, adapter)


def test_reference_ignores_its_rotary_base_and_defaults_its_heads(tmp_path):
    adapter = Adapter(AdapterConfig(16, 4, 4))
    config = {
        "hidden_size": 16,
        "num_attention_heads": 4,
        "num_key_value_heads": None,
        "rope_theta": 5e5,
    }
    folder = write_reference(tmp_path / "a", adapter.state_dict(), config)
    assert load_checkpoint(folder).adapter.config == AdapterConfig(16, 4, 4)


def test_half_precision_weights_are_widened(tmp_path, adapter):
    tensors = {name: value.half() for name, value in adapter.state_dict().items()}
    loaded = load_checkpoint(write_reference(tmp_path / "a", tensors)).adapter
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}


def test_missing_folder_is_named(tmp_path):
    assert (
        refusal(tmp_path / "no") == f"There is no adapter folder {tmp_path / 'no'}; check the path."
    )


def test_missing_config_is_named(tmp_path):
    assert f"{tmp_path} holds no config.json" in refusal(tmp_path)


def test_missing_weights_are_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_CONFIG))
    assert "holds neither model.safetensors nor pytorch_model.bin" in refusal(tmp_path)


@pytest.mark.parametrize("text", ["{", "\x00\x01", ""])
def test_a_torn_config_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    assert f"{tmp_path / 'config.json'} cannot be read as JSON" in refusal(tmp_path)


def test_a_config_that_is_no_object_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("[1]")
    assert "is no JSON object" in refusal(tmp_path)


def test_a_later_format_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"specframe_kangaroo": 2, **LLAMA_CONFIG}))
    message = refusal(tmp_path)
    assert "of format 2" in message
    assert "install the specframe that wrote it" in message


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"hidden_size": None}, "lacks hidden_size"),
        ({"hidden_size": "16"}, "hidden_size is '16'"),
        ({"hidden_size": True}, "hidden_size is True"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0"),
        ({"num_attention_heads": 3, "num_key_value_heads": 3}, "do not fit together"),
        ({"num_key_value_heads": 3}, "do not fit together"),
        ({"rms_norm_eps": 0}, "rms_norm_eps is 0"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps is nan"),
        ({"specframe_kangaroo": 1, "exit_layer": 0}, "exit_layer is 0"),
        ({"specframe_kangaroo": 1, "steps": 1.5}, "steps is 1.5"),
        ({"specframe_kangaroo": 1, "threshold": -0.1}, "threshold is -0.1"),
        ({"specframe_kangaroo": 1, "tree_threshold": "x"}, "tree_threshold is 'x'"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, adapter, entry, words):
    folder = write_reference(tmp_path / "a", adapter.state_dict(), LLAMA_CONFIG | entry)
    message = refusal(folder)
    assert words in message
    assert str(folder / "config.json") in message


def test_a_missing_tensor_is_named(tmp_path, adapter):
    tensors = adapter.state_dict()
    del tensors["layers.0.self_attn.k_proj.weight"]
    message = refusal(write_reference(tmp_path / "a", tensors))
    assert "model.safetensors lacks the tensor layers.0.self_attn.k_proj.weight" in message


def test_an_unexpected_tensor_is_named(tmp_path, adapter):
    tensors = adapter.state_dict() | {"layers.0.mlp.up_proj.weight": torch.zeros(2, 2)}
    message = refusal(write_reference(tmp_path / "a", tensors))
    assert "holds the unexpected tensor layers.0.mlp.up_proj.weight" in message


def test_a_wrong_shape_is_named(tmp_path, adapter):
    config = LLAMA_CONFIG | {"num_key_value_heads": 4}
    message = refusal(write_reference(tmp_path / "a", adapter.state_dict(), config))
    assert (
        "the tensor layers.0.self_attn.k_proj.weight is [8, 16] and should be [16, 16]" in message
    )


def test_weights_that_are_not_finite_are_refused(tmp_path, adapter):
    tensors = adapter.state_dict()
    tensors["norm.weight"][0] = float("nan")
    message = refusal(write_reference(tmp_path / "a", tensors))
    assert "the tensor norm.weight is not finite" in message


class Program:
    def __reduce__(self):
        return (print, ("this must never be printed",))


def test_a_pickle_with_a_program_is_refused_and_not_run(tmp_path, capsys):
    folder = write_reference(tmp_path / "a", {"norm.weight": Program()}, name="pytorch_model.bin")
    message = refusal(folder)
    assert "pytorch_model.bin is refused" in message
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("kept", [0, 10, 700])
def test_torn_weights_are_named(tmp_path, adapter, name, kept):
    folder = write_reference(tmp_path / "a", adapter.state_dict(), name=name)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:kept])
    assert str(folder / name) in refusal(folder)


def test_a_file_without_a_state_dict_is_refused(tmp_path):
    folder = write_reference(tmp_path / "a", [1, 2], name="pytorch_model.bin")
    assert "holds no state dict" in refusal(folder)


def test_the_right_base_is_accepted(adapter):
    check_base(Checkpoint(adapter, fingerprint="ours"), 16, "ours")


def test_a_reference_adapter_fits_any_base_of_its_width(adapter):
    check_base(Checkpoint(adapter), 16, "any")


def test_another_hidden_size_is_refused():
    with pytest.raises(AdapterError, match="for hidden size 32 and the model has 16"):
        check_base(load_checkpoint(REFERENCE), 16, "any")


def test_another_base_is_refused_with_both_names(adapter):
    with pytest.raises(AdapterError, match="for the base model theirs and this one is ours; "):
        check_base(Checkpoint(adapter, fingerprint="theirs"), 16, "ours")


def test_safetensors_win_over_a_pickle(tmp_path, adapter):
    folder = write_reference(tmp_path / "a", adapter.state_dict())
    shutil.copy(REFERENCE / "pytorch_model.bin", folder / "pytorch_model.bin")
    assert_same(load_checkpoint(folder).adapter, adapter)


def test_our_file_holds_the_documented_names(tmp_path, adapter):
    save_checkpoint(tmp_path, Checkpoint(adapter))
    attention = [f"layers.0.self_attn.{letter}_proj.weight" for letter in "kqvo"]
    expected = {"norm.weight", "layers.0.input_layernorm.weight", *attention}
    assert set(load_file(tmp_path / "model.safetensors")) == expected

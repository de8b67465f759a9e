"""Training an adapter: whole runs on a tiny model."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
import torch
from safetensors.torch import load_file

from specframe import AdapterError, InputError, ModelError, NumericsError, fingerprint
from specframe.training import TrainRequest
from specframe_kangaroo import (
    Adapter,
    AdapterConfig,
    Checkpoint,
    check_base,
    load_checkpoint,
    save_checkpoint,
)

GOLDEN = Path(__file__).parent / "golden" / "train"
CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }};{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def train(*arguments):
    from specframe_kangaroo import train  # imports transformers

    return train(*arguments)


def llama_config(**changes):
    from transformers import LlamaConfig

    shape = {
        "vocab_size": 258,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 64,
        "initializer_range": 0.2,  # as sharp as a trained model
    }
    return LlamaConfig(**shape | changes)


def save_tokenizer(folder):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {word: number for number, word in enumerate(["<s>", "</s>", *letters])}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", chat_template=CHAT
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    from transformers import LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    LlamaForCausalLM(llama_config()).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Conversations of uneven length: windows differ in how much of them is learned."""
    path = tmp_path_factory.mktemp("data") / "chat.jsonl"
    lines = []
    for number in range(24):
        turns = [
            {"role": "user", "content": f"count to {number} " + "please " * (number % 5)},
            {"role": "assistant", "content": " ".join(map(str, range(number + 1)))},
        ]
        lines.append(json.dumps({"messages": turns}))
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def request_of(base, data, tmp_path):
    def build(**changes):
        given = {
            "model": str(base),
            "data": data,
            "output": tmp_path / "out",
            "max_steps": 4,
            "batch_size": 4,
            "sequence_length": 32,
            "device": "cpu",
        }
        return TrainRequest(**given | changes)

    return build


def weights_of(folder):
    return load_file(folder / "model.safetensors")


def files_below(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.models
def test_training_lowers_the_held_out_loss_and_leaves_the_target_alone(
    request_of, base, data, capsys
):
    before = files_below(base)
    request = request_of(max_steps=60, eval_data=data, learning_rate=1e-2)
    train(request)
    lines = capsys.readouterr().err.splitlines()
    held_out = [float(line.split("loss ")[1].split()[0]) for line in lines if "held-out" in line]
    assert held_out[-1] < held_out[0] - 0.05
    assert files_below(base) == before
    checkpoint = load_checkpoint(request.output)
    assert checkpoint.exit_layer == 2
    assert checkpoint.metadata["num_steps"] == 60
    assert checkpoint.metadata["eval_loss"] == pytest.approx(held_out[-1], abs=1e-3)
    assert {path.name for path in request.output.iterdir()} == {
        "checkpoints",
        "config.json",
        "model.safetensors",
    }
    from transformers import AutoModelForCausalLM

    target = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    check_base(checkpoint, target.config.hidden_size, fingerprint(target))


@pytest.mark.models
def test_checkpoints_hold_the_adapter_alone(request_of):
    train(request_of())
    (last,) = (request_of().output / "checkpoints").glob("checkpoint-4")
    assert all(name.startswith("adapter.") for name in weights_of(last))


@pytest.mark.models
def test_a_resumed_run_ends_like_an_uninterrupted_one(request_of, tmp_path):
    whole, cut = request_of(), request_of(output=tmp_path / "cut")
    train(whole)
    shutil.copytree(whole.output, cut.output)
    for name in ("config.json", "model.safetensors", "checkpoints/checkpoint-4/trainer_state.json"):
        (cut.output / name).unlink()  # as if the machine had died while step 4 was being saved
    train(attrs.evolve(cut, resume=True))
    assert load_checkpoint(cut.output).metadata["num_steps"] == 4
    for name, value in weights_of(whole.output).items():
        assert torch.equal(value, weights_of(cut.output)[name]), name


@pytest.mark.models
def test_resuming_where_nothing_was_saved_starts(request_of):
    train(request_of(max_steps=1, resume=True))
    assert load_checkpoint(request_of().output).metadata["num_steps"] == 1


@pytest.mark.models
def test_an_earlier_run_is_never_written_over(request_of):
    train(request_of(max_steps=1))
    before = files_below(request_of().output)
    with pytest.raises(InputError, match=r"holds a training run already; .* `--resume`"):
        train(request_of())
    with pytest.raises(InputError, match="has sequence_length 32 and not 16"):
        train(request_of(resume=True, sequence_length=16))
    with pytest.raises(InputError, match="has exit_layer 2 and not 1"):
        train(request_of(resume=True, exit_layer=1))
    assert files_below(request_of().output) == before


@pytest.mark.models
def test_a_dry_run_tells_all_and_writes_nothing(request_of, tmp_path, data, capsys):
    before = files_below(tmp_path)
    train(request_of(dry_run=True, max_steps=None, eval_data=data))
    shown = capsys.readouterr().out
    assert "would train 1056 parameters (fresh) at exit layer 2, " in shown
    assert "torch.float32 on cpu, frozen" in shown
    assert "agreement" in shown
    assert shown.endswith("nothing was written\n")
    assert not (tmp_path / "out").exists()
    assert files_below(tmp_path) == before


@pytest.mark.models
def test_accumulated_gradients_weigh_every_position_alike(request_of, tmp_path):
    train(request_of())
    train(request_of(output=tmp_path / "parts", batch_size=2, gradient_accumulation=2))
    for name, value in weights_of(tmp_path / "out").items():
        torch.testing.assert_close(weights_of(tmp_path / "parts")[name], value, atol=2e-6, rtol=0)


@pytest.mark.models
@pytest.mark.slow
def test_two_processes_train_what_one_does_and_one_writes(request_of, tmp_path, base, data):
    train(request_of())
    script = tmp_path / "run.py"
    script.write_text(
        "from specframe.training import TrainRequest\n"
        "from specframe_kangaroo import train\n"
        f"train(TrainRequest(model={str(base)!r}, data={str(data)!r}, output='pair', max_steps=4,"
        " batch_size=2, sequence_length=32, device='cpu'))\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*launch, str(script)],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("step 4/4") == 1
    for name, value in weights_of(tmp_path / "out").items():
        torch.testing.assert_close(weights_of(tmp_path / "pair")[name], value, atol=2e-6, rtol=0)
    assert load_checkpoint(tmp_path / "pair").metadata["processes"] == 2


@pytest.mark.models
def test_training_continues_from_a_given_adapter(request_of, tmp_path):
    torch.manual_seed(3)
    given = Checkpoint(Adapter(AdapterConfig(16, 2, 1)), exit_layer=3, threshold=0.2)
    save_checkpoint(tmp_path / "given", given)
    train(request_of(adapter=tmp_path / "given", max_steps=1, learning_rate=1e-9))
    trained = load_checkpoint(tmp_path / "out")
    assert (trained.exit_layer, trained.threshold) == (3, 0.2)
    for name, value in weights_of(tmp_path / "given").items():
        torch.testing.assert_close(weights_of(tmp_path / "out")[name], value, atol=1e-7, rtol=0)


def digest(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.models
def test_the_seed_decides_the_weights(request_of, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(request_of(output=tmp_path / name, max_steps=1, seed=seed))
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


@pytest.mark.models
def test_a_loss_that_is_no_number_stops_the_run(request_of):
    with pytest.raises(NumericsError, match=r"The loss is (nan|inf) at step \d+; lower the"):
        train(request_of(max_steps=19, learning_rate=3e38))
    assert not (request_of().output / "config.json").exists()


@pytest.mark.models
@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"model": "/no/such"}, ModelError, "There is no model folder /no/such"),
        ({"exit_layer": 4}, InputError, "exit_layer is 4 and the model has 4 layers; give 1 to 3"),
        ({"sequence_length": 65}, InputError, "sequence_length is 65 and .* at most 64 tokens"),
        ({"data": Path("/no/such")}, InputError, "no training data at /no/such"),
        ({"eval_data": Path("/no/such")}, InputError, "no training data at /no/such"),
        ({"adapter": Path("/no/such")}, AdapterError, "no adapter folder /no/such"),
        ({"adapter": GOLDEN / "wide4-e2"}, AdapterError, "hidden size 32 and the model has 16"),
        pytest.param(
            {"device": "cuda"},
            InputError,
            "there is no CUDA device",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is one"),
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    request_of, changes, kind, words
):
    with pytest.raises(kind, match=words):
        train(request_of(**changes))
    assert not request_of().output.exists()

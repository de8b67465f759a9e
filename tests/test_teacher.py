"""The frozen target in training: its head, its dtypes, and what is refused."""

import attrs
import pytest
import torch
from torch import nn

from specframe import InputError, ModelError
from specframe.training import TrainRequest

pytestmark = pytest.mark.models
SHAPE = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.2,
}


def config_of(family):
    from transformers import CohereConfig, Gemma2Config, GraniteConfig, LlamaConfig

    own = {
        "cohere": (CohereConfig, {"logit_scale": 0.3}),
        "gemma2": (Gemma2Config, {"head_dim": 8, "final_logit_softcapping": 0.5}),
        "granite": (GraniteConfig, {"logits_scaling": 3.0}),
        "llama": (LlamaConfig, {}),
    }
    kind, extra = own[family]
    return kind(**SHAPE, **extra)


def teacher_of(family="llama", dtype=torch.float32):
    from transformers import AutoModelForCausalLM

    from specframe_kangaroo._teacher import freeze

    torch.manual_seed(0)
    return freeze(AutoModelForCausalLM.from_config(config_of(family)).to(dtype), exit_layer=2)


@pytest.mark.parametrize("family", ["cohere", "gemma2", "granite", "llama"])
def test_the_draft_goes_through_the_targets_scale_and_soft_cap(family):
    teacher = teacher_of(family)
    ids = torch.arange(12).view(2, 6)
    output = teacher.model(ids, output_hidden_states=True)
    draft = teacher.draft_logits(output.hidden_states[-1])
    torch.testing.assert_close(draft, output.logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_every_dtype_passes_the_check_of_the_head(dtype):
    teacher = teacher_of(dtype=dtype)
    hidden, logits = teacher.read(torch.arange(6)[None])
    assert hidden.dtype == dtype
    assert logits.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_another_head_is_refused():
    teacher = attrs.evolve(teacher_of(), head=nn.Linear(16, 32))
    with pytest.raises(ModelError, match="The head of model type 'llama' does more than"):
        teacher.check_head()


def test_the_target_is_frozen_and_in_evaluation_mode():
    model = teacher_of().model
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())


def gradient_of(dtype):
    """Return the adapter's gradient on one long batch; the mean makes each share of it small."""
    from specframe_kangaroo import Adapter, AdapterConfig
    from specframe_kangaroo._trainer import Student, compare

    torch.manual_seed(1)
    adapter = Adapter(AdapterConfig(16, 2, 2))
    ids = torch.randint(0, 32, (32, 128))
    batch = {"input_ids": ids, "labels": torch.zeros_like(ids)}
    compare(teacher_of(dtype=dtype), Student(adapter), batch).loss.backward()
    return adapter.layers[0].self_attn.v_proj.weight.grad


def test_gradients_do_not_vanish_in_float16():
    exact = gradient_of(torch.float32)
    assert (gradient_of(torch.float16) - exact).norm() < 0.05 * exact.norm()


def test_padding_changes_nothing():
    from specframe_kangaroo import Adapter, AdapterConfig
    from specframe_kangaroo._trainer import UNTRAINED, Student, compare

    teacher, student = teacher_of(), Student(Adapter(AdapterConfig(16, 2, 2)))
    labels = torch.tensor([[0, 0, 0, UNTRAINED, UNTRAINED], [0, UNTRAINED, 0, 0, UNTRAINED]])
    ids = torch.randint(3, 32, (2, 5))
    other = ids.clone()
    other[0, 3:], other[1, 4:] = 0, 9
    first, second = (
        compare(teacher, student, {"input_ids": tokens, "labels": labels}).totals
        for tokens in (ids, other)
    )
    assert torch.equal(first, second)
    assert first[3] == 6


def test_overlap_and_agreement_of_equal_models_are_whole():
    from specframe_kangaroo._trainer import compare, summarise

    teacher = attrs.evolve(teacher_of(), exit_layer=3)  # the target's last states: a perfect draft
    ids = torch.arange(8)[None]
    batch = {"input_ids": ids, "labels": torch.zeros_like(ids)}
    means = summarise(compare(teacher, nn.Identity(), batch).totals)
    assert means["agreement"] == 1.0
    assert means["overlap"] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    "config",
    ["", "{}", '{"model_type": "no-such"}', '{"model_type": "llama", "hidden_size": 16}'],
)
def test_a_folder_without_a_usable_config_is_refused(tmp_path, config):
    from specframe_kangaroo._teacher import load_config

    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ModelError, match=f"No causal language model can be loaded from {tmp_path}"):
        load_config(str(tmp_path))


@pytest.mark.parametrize("weights", [None, b"torn"])
def test_missing_or_torn_weights_are_refused(tmp_path, weights):
    from specframe_kangaroo._teacher import load_teacher

    config_of("llama").save_pretrained(tmp_path)
    if weights is not None:
        (tmp_path / "model.safetensors").write_bytes(weights)
    request = TrainRequest(model=str(tmp_path), data="d", output="o")
    with pytest.raises(ModelError, match=f"No causal language model can be loaded from {tmp_path}"):
        load_teacher(request, torch.device("cpu"), 2)


def test_a_model_that_is_no_causal_language_model_is_refused(tmp_path):
    from transformers import T5Config

    from specframe_kangaroo._teacher import load_teacher

    T5Config().save_pretrained(tmp_path)
    request = TrainRequest(model=str(tmp_path), data="d", output="o")
    with pytest.raises(ModelError, match="No causal language model can be loaded"):
        load_teacher(request, torch.device("cpu"), 2)


def test_a_model_without_a_tokenizer_is_refused(tmp_path):
    from specframe_kangaroo._teacher import load_tokenizer

    config_of("llama").save_pretrained(tmp_path)
    with pytest.raises(InputError, match="No tokenizer can be loaded from"):
        load_tokenizer(str(tmp_path))

"""Which models are refused, and that the message says why in one sentence."""

import pytest

import specframe
from configurations import MIXED
from specframe import ModelError

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("tiny")]


def refusal(model, **arguments):
    with pytest.raises(ModelError) as caught:
        specframe.load(model, strategy="none", **arguments)
    return str(caught.value)


DYNAMIC = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
LONG = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
NEAR = {"rope_type": "default", "rope_theta": 100.0}


@pytest.mark.parametrize(
    ("family", "rope"),
    [
        ("llama", DYNAMIC),
        ("gpt_neox", DYNAMIC | {"partial_rotary_factor": 0.5}),
        ("phi3", LONG | {"rope_theta": 10_000.0, "partial_rotary_factor": 1.0}),
        ("gemma3_text", {"full_attention": DYNAMIC, "sliding_attention": NEAR}),
    ],
)
def test_rotary_tables_that_grow_with_the_text_are_refused(tiny, family, rope):
    kinds = {"layer_types": MIXED, "head_dim": 8} if family == "gemma3_text" else {}
    message = refusal(tiny.model(family, rope_parameters=rope, **kinds))
    assert f"family '{family}' cannot split this model" in message
    assert f"'{rope.get('rope_type', 'dynamic')}'" in message


def test_layers_of_an_unknown_type_are_refused(tiny):
    model = tiny.model("qwen2")
    model.config.layer_types = ["full_attention", "chunked_attention"] * 2
    message = refusal(model)
    assert "family 'qwen2' cannot split this model" in message
    assert "layers of type 'chunked_attention' are neither full nor sliding" in message


@pytest.mark.parametrize("family", ["gemma", "gemma2", "gemma3_text"])
def test_tokens_that_see_later_ones_are_refused(tiny, family):
    message = refusal(tiny.model(family, head_dim=8, use_bidirectional_attention=True))
    assert "its tokens see later ones too" in message


def test_an_attention_that_leaves_out_gemma_2s_cap_is_refused(tiny):
    model = tiny.model("gemma2", head_dim=8)
    model.config._attn_implementation_internal = "sdpa"  # transformers 5.17's default
    assert "leaves out the soft cap of its attention scores under 'sdpa'" in refusal(model)


def test_experts_that_do_not_run_in_float64_are_refused(tiny):
    model = tiny.model("mixtral", dtype="float64", num_local_experts=3)
    model.set_experts_implementation("grouped_mm")
    assert "do not run in float64" in refusal(model)


RECURRENT = {
    "bamba": "linear_attention",
    "falcon_h1": "hybrid",
    "falcon_mamba": None,
    "granitemoehybrid": "linear_attention",
    "jamba": None,
    "lfm2": None,
    "mamba": None,
    "mamba2": None,
    "minimax": "linear_attention",
    "nemotron_h": None,
    "qwen3_next": "linear_attention",
    "recurrent_gemma": None,
    "rwkv": None,
    "zamba2": "hybrid",
}


@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_and_hybrid_models_are_refused_with_the_reason(kind):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    layers = {"layer_types": ["conv", "full_attention"] * 16} if kind == "lfm2" else {}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **layers))
    message = refusal(model)
    assert f"models of type '{kind}' cannot be decoded speculatively: their layers" in message
    assert "keep a recurrent state, which can neither be rolled back to an accepted" in message
    assert (RECURRENT[kind] or "") in message
    assert "unknown" not in message


def test_a_model_of_an_unknown_type_is_refused_with_the_types_there_are():
    from transformers import OPTConfig, OPTForCausalLM

    shape = {"hidden_size": 16, "ffn_dim": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = OPTForCausalLM(OPTConfig(vocab_size=61, word_embed_proj_dim=16, **shape))
    message = refusal(model)
    assert "'opt'" in message
    assert "llama, mistral, mixtral" in message


def test_an_encoder_is_refused_from_a_folder_and_handed_over(tmp_path):
    from transformers import T5Config, T5EncoderModel

    shape = {"vocab_size": 61, "d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 1}
    model = T5EncoderModel(T5Config(num_heads=2, **shape))
    model.save_pretrained(tmp_path)
    assert "causal language model" in refusal(tmp_path)
    assert "T5EncoderModel is no causal language model" in refusal(model)


def test_a_body_without_a_head_is_refused(tiny):
    assert "causal language model" in refusal(tiny.model().model)


def test_a_classifier_is_refused(tiny):
    from transformers import LlamaForSequenceClassification

    model = LlamaForSequenceClassification(tiny.config())
    assert "causal language model" in refusal(model)


def test_what_is_no_model_is_refused():
    assert "a folder, a hub id or a transformers model, got dict" in refusal({"weights": 1})


def test_a_folder_that_is_missing_or_holds_no_model_is_refused(tmp_path):
    assert "there is no model folder" in refusal(tmp_path / "nowhere")
    assert "it has no config.json" in refusal(tmp_path)
    (tmp_path / "file.bin").write_bytes(b"")
    assert "there is no model folder" in refusal(tmp_path / "file.bin")


def test_a_folder_without_weights_is_refused(tiny, tmp_path):
    tiny.config().save_pretrained(tmp_path)
    message = refusal(tmp_path)
    assert "cannot be loaded as a causal language model" in message


@pytest.mark.parametrize(
    ("argument", "value"), [("dtype", "bfloat16"), ("dtype", "float64"), ("device", "cuda")]
)
def test_a_model_that_was_handed_over_is_not_converted(tiny, argument, value):
    with pytest.raises(specframe.InputError) as caught:
        specframe.load(tiny.model(), strategy="none", **{argument: value})
    assert f"{argument}='{value}'" in str(caught.value)
    assert "left as it is" in str(caught.value)


def test_a_dtype_or_device_that_does_not_exist_is_refused(tiny, tmp_path):
    folder = tiny.saved(tmp_path, tiny.model())
    with pytest.raises(specframe.InputError, match="dtype must be auto or one of float64"):
        specframe.load(folder, strategy="none", dtype="int8")
    with pytest.raises(specframe.InputError, match="device 'abacus' is not available here"):
        specframe.load(folder, strategy="none", device="abacus")

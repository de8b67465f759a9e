"""What loading does to a model, what it refuses, and what 16 bit costs."""

import copy

import pytest

import specframe
from specframe import ModelError

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("tiny")]
PROMPT = [3, 14, 15, 9, 26, 5]


def refusal(model, **arguments):
    with pytest.raises(ModelError) as caught:
        specframe.load(model, strategy="none", **arguments)
    return str(caught.value)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3"])
def test_a_model_that_was_handed_over_is_left_as_it_was(tiny, tmp_path, family, attention):
    model = tiny.model(family, attention=attention, tie_word_embeddings=family == "qwen2")
    model.train()
    model.model.layers[1].eval()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    places = {name: value.data_ptr() for name, value in model.named_parameters()}
    modes = {name: module.training for name, module in model.named_modules()}
    config = copy.deepcopy(model.config.to_dict())
    options = {"adapter": tiny.adapter(tmp_path, model), "exit_layer": 2}
    specframe.load(model, options=options).decode(PROMPT, max_new_tokens=6)
    assert {name: value.data_ptr() for name, value in model.named_parameters()} == places
    for name, value in model.state_dict().items():
        assert value.equal(weights[name]), name
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert model.config.to_dict() == config
    assert model.config._attn_implementation == attention
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_in_training_mode_decodes_without_dropout(tiny):
    model = tiny.model(attention_dropout=0.5, dtype="float64")
    expected = tiny.generate(model, PROMPT, 12)
    model.train()
    assert specframe.load(model, strategy="none").decode(PROMPT, max_new_tokens=12).token_ids == (
        expected
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("strategy", ["none", "kangaroo"])
@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3"])
def test_the_logits_are_those_of_the_model(tiny, tmp_path, family, strategy, dtype):
    import torch

    tolerance = {"float64": 1e-5, "float32": 1e-3}[dtype]
    model = tiny.model(family, dtype=dtype)
    options = None
    if strategy == "kangaroo":
        options = {"adapter": tiny.adapter(tmp_path, model), "exit_layer": 2, "threshold": 0}
    decoder = specframe.load(model, strategy=strategy, options=options)
    result = decoder.decode(PROMPT, max_new_tokens=14, output_logits=True)
    with torch.inference_mode():
        whole = model(torch.tensor([PROMPT + result.token_ids])).logits[0]
    expected = whole[len(PROMPT) - 1 : -1]
    assert result.logits.shape == (14, model.config.vocab_size)
    torch.testing.assert_close(result.logits, expected, atol=tolerance, rtol=0)
    assert result.logits.argmax(-1).tolist() == result.token_ids
    assert decoder.decode(PROMPT, max_new_tokens=3).logits is None


@pytest.mark.parametrize("way", ["handed over", "from a folder"])
@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3"])
def test_16_bit_differs_from_generate_at_a_near_tie_only(tiny, tmp_path, family, way):
    model = tiny.model(family, dtype="bfloat16")
    expected = tiny.generate(model, PROMPT, 20)
    options = {"adapter": tiny.adapter(tmp_path / "adapter", model), "exit_layer": 2}
    source, dtype = model, "auto"
    if way == "from a folder":
        source, dtype = tiny.saved(tmp_path / "base", model), "bfloat16"
    decoder = specframe.load(source, options=options, dtype=dtype)
    assert decoder.setup.dtype == "bfloat16"
    result = decoder.decode(PROMPT, max_new_tokens=20)
    assert len(result.token_ids) == 20
    assert_same_up_to_a_tie(model, result.token_ids, expected)


def assert_same_up_to_a_tie(model, found, expected):
    import torch

    places = [place for place in range(len(found)) if found[place] != expected[place]]
    if not places:
        return
    ids = torch.tensor([PROMPT + expected[: places[0]]])
    with torch.inference_mode():
        logits = copy.deepcopy(model).double()(ids).logits[0, -1]
    gap = logits.max() - logits[[found[places[0]], expected[places[0]]]].min()
    assert gap < 0.03 * logits.abs().max()


def test_a_folder_is_read_in_float32_unless_told_otherwise(tiny, tmp_path):
    folder = tiny.saved(tmp_path, tiny.model(dtype="bfloat16"))
    assert specframe.load(folder, strategy="none").setup.dtype == "float32"
    assert specframe.load(folder, strategy="none", dtype="float16").setup.dtype == "float16"


def test_rotary_tables_that_grow_with_the_text_are_refused(tiny):
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
    message = refusal(tiny.model(rope_parameters=rope))
    assert "family 'llama' cannot split this model" in message
    assert "'dynamic'" in message


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


def test_the_dtype_and_device_that_a_model_has_may_be_named(tiny):
    decoder = specframe.load(tiny.model(), strategy="none", dtype="float32", device="cpu")
    assert (decoder.setup.dtype, decoder.setup.device) == ("float32", "cpu")


def test_a_dtype_or_device_that_does_not_exist_is_refused(tiny, tmp_path):
    folder = tiny.saved(tmp_path, tiny.model())
    with pytest.raises(specframe.InputError, match="dtype must be auto or one of float64"):
        specframe.load(folder, strategy="none", dtype="int8")
    with pytest.raises(specframe.InputError, match="device 'abacus' is not available here"):
        specframe.load(folder, strategy="none", device="abacus")

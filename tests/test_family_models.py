"""What loading does to a model, what its logits are, and what 16 bit costs."""

import copy

import pytest

import specframe
from configurations import LLAMAS, OTHERS, each
from configured import caps_are_left_out
from specframe._plugins.discovery import load_registry

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("tiny")]
PROMPT = [3, 14, 15, 9, 26, 5]
CONFIGURATIONS = {
    name: (LLAMAS | OTHERS)[name] for name in ["llama", "mistral", "qwen2", "qwen3", *OTHERS]
}


@pytest.fixture(params=each(CONFIGURATIONS))
def configuration(request):
    """Return each family in turn, with what differs from the common shape."""
    return CONFIGURATIONS[request.param]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_model_that_was_handed_over_is_left_as_it_was(tiny, tmp_path, configuration, attention):
    family, changes = configuration
    if (family, attention) == ("gemma2", "sdpa"):
        pytest.skip("sdpa cannot cap scores")
    tied = {"tie_word_embeddings": True} if family == "qwen2" else {}
    model = tiny.model(family, attention=attention, **(changes | tied))
    model.train()
    list(model.modules())[9].eval()
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


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {"attention_dropout": 0.5}),
        ("gemma2", {"attention_dropout": 0.5, "head_dim": 8}),
        ("gpt2", {"resid_pdrop": 0.5, "embd_pdrop": 0.5, "attn_pdrop": 0.5}),
        ("gpt_neox", {"hidden_dropout": 0.5, "attention_dropout": 0.5}),
        ("mixtral", {"router_jitter_noise": 0.5, "num_local_experts": 3}),
        ("phi3", {"resid_pdrop": 0.5, "embd_pdrop": 0.5}),
    ],
)
def test_a_model_in_training_mode_decodes_without_dropout(tiny, family, changes):
    model = tiny.model(family, dtype="float64", **changes)
    expected = tiny.generate(model, PROMPT, 12)
    model.train()
    assert specframe.load(model, strategy="none").decode(PROMPT, max_new_tokens=12).token_ids == (
        expected
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("strategy", ["none", "kangaroo"])
def test_the_logits_are_those_of_the_model(tiny, tmp_path, configuration, strategy, dtype):
    import torch

    tolerance = {"float64": 1e-5, "float32": 1e-3}[dtype]
    family, changes = configuration
    model = tiny.model(family, dtype=dtype, **changes)
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
def test_16_bit_differs_from_generate_at_a_near_tie_only(tiny, tmp_path, configuration, way):
    family, changes = configuration
    if family == "gemma2" and way == "from a folder" and caps_are_left_out():
        pytest.skip("this version of transformers leaves out Gemma 2's cap by default")
    model = tiny.model(family, dtype="bfloat16", **changes)
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
        exact = copy.deepcopy(model).double()(ids).logits[0]
        noise = (model(ids).logits[0] - exact).abs().max()  # what 16 bit costs the model itself
    logits = exact[-1]
    gap = logits.max() - logits[[found[places[0]], expected[places[0]]]].min()
    assert gap < max(0.03 * logits.abs().max(), 2 * noise)


def test_a_folder_is_read_in_float32_unless_told_otherwise(tiny, tmp_path):
    folder = tiny.saved(tmp_path, tiny.model(dtype="bfloat16"))
    assert specframe.load(folder, strategy="none").setup.dtype == "float32"
    assert specframe.load(folder, strategy="none", dtype="float16").setup.dtype == "float16"


def test_every_family_is_registered_under_the_types_that_it_names():
    for name, component in load_registry().families.items():
        assert name in component.build().model_types


@pytest.mark.parametrize("family", ["gemma2", "gpt2", "gpt_neox", "granite", "olmo2", "phi3"])
def test_weights_that_the_engine_owns_are_held_once(tiny, family):
    import torch

    from specframe._engine.projection import can_pack

    if not can_pack(torch.zeros(16, 16)):
        pytest.skip("this machine's torch has no packed kernels")
    model = tiny.model(family, **({"head_dim": 8} if family == "gemma2" else {}))
    adapter = load_registry().family(family).build()
    with torch.inference_mode():
        split = adapter.split(model, owned=True)
    assert len(split.layers) == 4
    layers = adapter.parts(model).layers
    assert [name for name, weight in layers.named_parameters() if weight.ndim == 2] == []


def test_gemma_3_with_a_vision_tower_reads_text(tiny, tmp_path):
    import torch
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    text = tiny.config("gemma3_text", tie_word_embeddings=False, **OTHERS["gemma3-capped"][1])
    sizes = {"hidden_size": 8, "intermediate_size": 8, "image_size": 8, "patch_size": 4}
    vision = sizes | {"num_hidden_layers": 1, "num_attention_heads": 1}
    torch.manual_seed(0)
    model = Gemma3ForConditionalGeneration(
        Gemma3Config(
            text_config=text.to_dict(),
            vision_config=vision,
            mm_tokens_per_image=4,
            image_token_index=70,
            tie_word_embeddings=False,
        )
    )
    for name, weight in model.named_parameters():
        weight.data = torch.randn_like(weight) * (0.5 if "norm" in name else 0.3)
    prompt = PROMPT * 3
    expected = tiny.generate(model.eval(), prompt, 12)
    assert len(set(expected)) > 2
    folder = tiny.saved(tmp_path, model)
    for source in (model, folder):
        decoder = specframe.load(source, strategy="none")
        assert decoder.decode(prompt, max_new_tokens=12).token_ids == expected


def test_the_dtype_and_device_that_a_model_has_may_be_named(tiny):
    decoder = specframe.load(tiny.model(), strategy="none", dtype="float32", device="cpu")
    assert (decoder.setup.dtype, decoder.setup.device) == ("float32", "cpu")

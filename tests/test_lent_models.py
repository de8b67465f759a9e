"""Models that others hold: quantised, placed by a device map, offloaded."""

import warnings

import attrs
import pytest

import specframe
from specframe import ModelError, OptionError
from specframe._generate.borrowed_models import MOST_DECODERS, Lent, Wanted
from specframe._loading.weights import refuse_scattered

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("tiny")]
PROMPT = [3, 14, 15, 9, 26, 5]
ROUNDED = {
    "quant_method": "bitnet",
    "modules_to_not_convert": ["lm_head"],
    "linear_class": "bitlinear",
    "quantization_mode": "offline",
}


@pytest.fixture(scope="module")
def quantised(tiny):
    """Yield a model whose layers have weights of two bits, four to a byte, as BitNet's have."""
    import torch

    with torch.compiler.set_stance("force_eager"):  # transformers would compile the unpacking
        yield packed_model(tiny)


def packed_model(tiny):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, on import
        from transformers.integrations import bitnet

    whole, model = tiny.model(seed=3), tiny.model(seed=3)
    bitnet.replace_with_bitnet_linear(model, modules_to_not_convert=["lm_head"])
    for name, layer in model.named_modules():
        if isinstance(layer, bitnet.BitLinear):
            weight = whole.get_submodule(name).weight.detach()
            layer.weight_scale = 1 / weight.abs().mean().reshape(1)
            signs = (weight * layer.weight_scale).round().clamp(-1, 1)
            layer.weight = bitnet.pack_weights(signs)
    model.config.quantization_config = ROUNDED
    return model


def refusal(model, **arguments):
    with pytest.raises(ModelError) as caught:
        specframe.load(model, strategy="none", **arguments)
    return str(caught.value)


def test_a_quantised_model_decodes_as_generate_does(tiny, quantised):
    decoder = specframe.load(quantised, strategy="early-exit", options={"exit_layer": 2})
    decoded = decoder.decode(PROMPT, max_new_tokens=12)
    assert decoded.token_ids == tiny.generate(quantised, PROMPT, 12)
    assert decoded.metrics.num_draft_tokens > 0


def test_a_quantised_checkpoint_is_loaded_by_its_name(tiny, quantised, tmp_path):
    quantised.save_pretrained(tmp_path)
    decoded = specframe.load(tmp_path, strategy="none").decode(PROMPT, max_new_tokens=12)
    assert decoded.token_ids == tiny.generate(quantised, PROMPT, 12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_layers_that_round_by_what_else_is_in_the_pass_are_refused(tiny):
    import torch

    model = torch.ao.quantization.quantize_dynamic(
        tiny.model(seed=3), {torch.nn.Linear}, dtype=torch.qint8
    )
    message = refusal(model)
    assert "the engine's logits differ from the model's" in message
    assert "quantised (torch.ao.nn.quantized.dynamic.modules.linear)" in message
    assert "\n" not in message


def test_quantised_layers_that_cannot_be_called_apart_are_refused(quantised):
    import copy

    model = copy.deepcopy(quantised)
    model.model.layers[1].mlp.down_proj.register_forward_pre_hook(breaks_on_short_input)
    assert "quantised layers (bitnet) do not run one by one: too few rows" in refusal(model)


def breaks_on_short_input(_, inputs):
    if inputs[0].shape[1] < 3:
        raise RuntimeError("too few rows")


def test_a_model_without_a_float_matrix_has_a_fingerprint(tiny, quantised):
    layers = quantised.model.layers
    layers.config = quantised.config
    assert [weight for weight in layers.parameters() if weight.ndim == 2] == []
    assert len(specframe.fingerprint(layers)) == 16
    assert specframe.fingerprint(layers) != specframe.fingerprint(tiny.model(seed=3))


def test_a_device_map_of_one_device_is_taken(tiny, tmp_path):
    from transformers import AutoModelForCausalLM

    tiny.model(seed=3).save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, device_map={"": "cpu"})
    decoded = specframe.load(model, strategy="none").decode(PROMPT, max_new_tokens=8)
    assert decoded.token_ids == tiny.generate(model, PROMPT, 8)


def test_offloaded_layers_are_refused_by_name(tiny, tmp_path):
    from accelerate import disk_offload

    model = tiny.model(seed=3)
    disk_offload(model.model.layers[2], str(tmp_path / "offload"))
    message = refusal(model)
    assert "'model.layers.2.self_attn.q_proj.weight'" in message
    assert "offloaded" in message


def test_a_model_that_was_never_filled_is_refused(tiny):
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(tiny.config())
    assert "not in memory" in refusal(model)


@attrs.frozen
class Placed:
    """Imitate a weight on a device that this machine need not have."""

    device: str


def test_weights_on_two_devices_are_refused_with_both_names():
    weights = [("model.embed", Placed("cuda:0")), ("model.layers.7", Placed("cuda:1"))]
    refuse_scattered(weights[:1])
    with pytest.raises(ModelError) as caught:
        refuse_scattered(weights)
    assert "'model.embed' lies on cuda:0 and 'model.layers.7' on cuda:1" in str(caught.value)


NONE = Wanted("none", {}, None, None, exact=False)


def test_a_decoder_is_made_once_for_a_model_and_what_is_wanted(tiny):
    lent, model, other = Lent(), tiny.model(seed=3), tiny.model(seed=4)
    decoder = lent.decoder(model, NONE)
    assert lent.decoder(model, Wanted("none", {}, None, None, exact=False)) is decoder
    assert lent.decoder(model, attrs.evolve(NONE, verifier="match")) is not decoder
    assert lent.decoder(other, NONE) is not decoder
    assert lent.decoder(model, NONE) is decoder


def test_the_last_few_decoders_of_a_model_are_kept(tiny):
    lent, model = Lent(), tiny.model(seed=3)
    wanted = [
        Wanted("prompt-lookup", {"steps": 1 + step}, None, None, exact=False)
        for step in range(MOST_DECODERS + 1)
    ]
    made = [lent.decoder(model, each) for each in wanted]
    assert lent.decoder(model, wanted[1]) is made[1]
    assert lent.decoder(model, wanted[0]) is not made[0]


def test_a_lent_model_is_not_kept_alive(tiny):
    import gc
    import weakref

    lent, model = Lent(), tiny.model(seed=3)
    decoder = weakref.ref(lent.decoder(model, NONE))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    assert decoder() is None


@pytest.mark.parametrize("change", ["in place", "replaced", "data", "cast"])
def test_changed_weights_are_loaded_anew(tiny, change):
    import torch

    # Qwen3's head norms are copied by the split, so a decoder of the old weights would show.
    lent, model = Lent(), tiny.model("qwen3", seed=3, head_dim=8)
    before = lent.decoder(model, NONE).decode(PROMPT, max_new_tokens=8).token_ids
    attention = model.model.layers[0].self_attn
    with torch.no_grad():
        if change == "in place":
            attention.q_norm.weight.mul_(-3)
        if change == "replaced":
            attention.q_norm.weight = torch.nn.Parameter(attention.q_norm.weight * -3)
        if change == "data":
            attention.q_norm.weight.data = attention.q_norm.weight.data * -3
        if change == "cast":
            model.double()
            attention.q_norm.weight.mul_(-3)
    after = lent.decoder(model, NONE).decode(PROMPT, max_new_tokens=8).token_ids
    assert after == tiny.generate(model, PROMPT, 8)
    assert after != before


def test_a_decoder_that_cannot_be_made_is_not_kept(tiny):
    lent, model = Lent(), tiny.model(seed=3)
    wanted = Wanted("prompt-lookup", {"steps": 0}, None, None, exact=False)
    for _ in range(2):
        with pytest.raises(OptionError, match="steps"):
            lent.decoder(model, wanted)

"""The probe admits a family adapter that fits, and names one that does not."""

import pytest

from specframe import ModelError

pytestmark = pytest.mark.models


def families():
    """Return what the wrong adapters below change one line of."""
    from specframe_models import _llama

    return _llama


def swap(split, **changes):
    import attrs

    return attrs.evolve(split, **changes)


def layers_left_out():
    class LayersLeftOut(families().LlamaFamily):
        def split(self, model, *, owned):
            split = super().split(model, owned=owned)
            return swap(split, layers=split.layers[:-1])

    return LayersLeftOut


def rotary_shifted():
    import torch

    class RotaryScaled(families().LlamaFamily):
        def split(self, model, *, owned):
            split = super().split(model, owned=owned)
            return swap(split, rotary=lambda places: split.rotary(places * torch.tensor(2)))

    return RotaryScaled


def norm_skipped():
    class NormSkipped(families().LlamaFamily):
        def split(self, model, *, owned):
            return swap(super().split(model, owned=owned), norm=lambda states: states)

    return NormSkipped


def window_one_short():
    from specframe_models._blocks import LayerKind

    class WindowOneShort(families().LlamaFamily):
        def split(self, model, *, owned):
            split = super().split(model, owned=owned)
            kind = LayerKind(window=6)
            windowed = [self.layer(layer, kind, owned=owned) for layer in model.model.layers]
            return swap(split, layers=windowed)

    return WindowOneShort


def stock_without_last_norm():
    class StockWithoutLastNorm(families().LlamaFamily):
        def run_stock(self, model, tokens):
            return super().run_stock(model, tokens) * 1.0001

    return StockWithoutLastNorm


def admit(model, family, *, owned=False):
    import torch

    from specframe._loading.probe import admit

    with torch.inference_mode():
        return admit(model, family(), "planted", owned=owned)


@pytest.mark.parametrize("owned", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_fitting_family_is_admitted(tiny, dtype, owned):
    engine = admit(tiny.model(dtype=dtype), families().LlamaFamily, owned=owned)
    assert engine.num_layers == 4


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize(
    "planted", [layers_left_out, rotary_shifted, norm_skipped, window_one_short]
)
def test_a_split_that_does_not_add_up_is_named(tiny, planted, dtype):
    with pytest.raises(ModelError) as caught:
        admit(tiny.model(dtype=dtype), planted())
    assert "family 'planted' does not fit this model" in str(caught.value)
    assert "the engine's logits differ" in str(caught.value)


def test_stock_layers_that_do_not_add_up_are_named(tiny):
    with pytest.raises(ModelError) as caught:
        admit(tiny.model(), stock_without_last_norm())
    assert "family 'planted' does not fit this model" in str(caught.value)
    assert "run one by one" in str(caught.value)


def test_another_familys_adapter_is_named(tiny):
    with pytest.raises(ModelError, match="family 'planted' does not fit this model"):
        admit(tiny.model("qwen3", attention_bias=True), without_head_norm())


def without_head_norm():
    class WithoutHeadNorm(families().Qwen3Family):
        def head_norm(self, module, heads, kv_heads):
            return None

    return WithoutHeadNorm

"""Linear maps for decoding: few rows, and weights laid out for that.

A model that is loaded by name belongs to the engine, so its weights are laid out anew. On a CPU, in
float32 and bfloat16, linear layers move into oneDNN's packed layout (one copy: the transformers
modules keep none), because torch's plain kernel takes two to four times as long for 2 to 8 rows as
for one, which would eat what drafting wins (``python benchmarks/projection.py`` prints both).
Elsewhere projections with the same input are one tensor, and the modules' parameters are views of
it. A model that was handed over is left alone, and its layers are called one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own abbreviation)

PACKED_ROWS = 4  # the row count that packed weights are laid out for: a chain's verification


class Projection:
    """Apply one linear layer, or several with the same input, their outputs side by side.

    ``owned``: nobody else uses the layers. Their weights then move into one tensor: packed for
    oneDNN's small-row kernels where those exist (float32 and bfloat16 on a CPU), and the layers
    keep nothing; else a plain one, and the layers' weights are views of it. Either way there is no
    second copy. Layers that are not owned, and those that store their weights in another way
    (quantised ones), are left unchanged and called one by one. Raises no error of specframe's.
    """

    def __init__(self, layers: Sequence[nn.Linear], *, owned: bool, keep: bool = False) -> None:
        """Prepare the weights; ``keep``: the first layer's weight is used elsewhere too."""
        self._apply = _prepare(layers, owned=owned, keep=keep)

    def __call__(self, states: Float[Tensor, "*any inputs"]) -> Float[Tensor, "*any outputs"]:
        """Return the outputs of all layers, concatenated in their order."""
        return self._apply(states)


Apply = Callable[[Tensor], Tensor]


def _prepare(layers: Sequence[nn.Linear], *, owned: bool, keep: bool) -> Apply:
    if not owned or not all(map(_is_plain, layers)):
        return _one_by_one(layers)
    weight, bias = _joined(layers)
    if can_pack(weight):
        if not keep:
            for layer in layers:
                layer.weight.data = weight.new_empty(0)
        return _packed(weight, bias)
    if len(layers) > 1:
        _point_into(layers, weight)
    return lambda states: F.linear(states, weight, bias)


def _is_plain(layer: nn.Linear) -> bool:
    """Tell whether the layer is its weight and its bias: no subclass, of layer or tensor."""
    return type(layer) is nn.Linear and type(layer.weight) is nn.Parameter


def _one_by_one(layers: Sequence[nn.Linear]) -> Apply:
    if len(layers) == 1:
        return layers[0].__call__
    return lambda states: torch.cat([layer(states) for layer in layers], dim=-1)


def _joined(layers: Sequence[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    weights = [layer.weight.detach() for layer in layers]
    weight = weights[0] if len(weights) == 1 else torch.cat(weights)
    biases: list[Tensor | None] = [layer.bias for layer in layers]
    if all(bias is None for bias in biases):
        return weight, None
    parts = [
        weight.new_zeros(layer.out_features) if bias is None else bias.detach()
        for layer, bias in zip(layers, biases, strict=True)
    ]
    return weight, torch.cat(parts)


def _point_into(layers: Sequence[nn.Linear], weight: Tensor) -> None:
    start = 0
    for layer in layers:
        layer.weight.data = weight[start : start + layer.out_features]
        start += layer.out_features


def can_pack(weight: Tensor) -> bool:
    """Tell whether this machine's torch has oneDNN's packed kernels for such a weight.

    Measured on one AVX-512 CPU, float32, a head of 4096 x 256: 48 us packed against 109 us plain
    for one row, 67 us against 227 us for four (``benchmarks/projection.py``).
    """
    if weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.bfloat16):
        return False
    try:
        probe = torch.eye(16, dtype=weight.dtype)
        return torch.equal(_packed(probe, None)(probe[:2]), probe[:2])
    except (AttributeError, NotImplementedError, RuntimeError):
        return False


def _packed(weight: Tensor, bias: Tensor | None) -> Apply:
    # The operators that torch's own compiler emits for frozen weights on a CPU.
    operators = torch.ops.mkldnn
    apply = operators._linear_pointwise.default._op  # noqa: SLF001 (no public name)
    layout = operators._reorder_linear_weight(weight.contiguous(), PACKED_ROWS)  # noqa: SLF001
    return lambda states: apply(states, layout, bias, "none", [], "")

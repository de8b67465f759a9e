"""Logits that are not finite: where they are, and which layer they come from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from specframe._errors import NumericsError

if TYPE_CHECKING:
    from specframe._engine.engine import Engine
    from specframe._round.rows import Rows


def check_finite(
    engine: Engine, rows: Rows, best: Float[Tensor, "batch node"], depths: list[list[int]]
) -> None:
    """Raise NumericsError unless the largest logit at every node, on the host, is finite."""
    if all(math.isfinite(value) for values in best.tolist() for value in values):
        return
    for place, row in enumerate(rows.active):
        for node, depth in enumerate(depths[place]):
            if not math.isfinite(best[place, node]):
                position = len(row.tokens) - 1 + depth
                raise NumericsError(
                    f"the model's logits at position {position} of row {row.index} are not "
                    f"finite; {_first_bad_layer(engine, row.tokens)}. Check the weights, or use "
                    "a wider dtype (--dtype float32)"
                )


def _first_bad_layer(engine: Engine, tokens: list[int]) -> str:
    """Run the committed tokens once more and name the first layer that is not finite."""
    filled = engine.fill(0, tokens, range(engine.num_layers + 1))
    for layer, states in sorted(filled.taps.items()):
        if not bool(torch.isfinite(states).all()):
            name = f"layer {layer - 1}" if layer else "the embedding"
            return f"the first bad values come from {name}"
    return "every layer's output is finite, so they come from the head"

"""Time one linear layer on few rows: torch's plain kernel against oneDNN's packed one.

    python benchmarks/projection.py

Explains why the engine packs the weights that it owns (``specframe/_engine/projection.py``).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from specframe import Projection

SHAPES = ((256, 512), (256, 1_024), (512, 256), (256, 4_096))
ROWS = (1, 2, 4, 7)


def main() -> None:
    """Print microseconds per call, the best of several rounds."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, float32")
    for inputs, outputs in SHAPES:
        layer = nn.Linear(inputs, outputs, bias=False)
        packed = Projection([copy.deepcopy(layer)], owned=True)
        for rows in ROWS:
            states = torch.randn(1, rows, inputs)
            plain_time, packed_time = best(layer, states), best(packed, states)
            print(
                f"{inputs:5} -> {outputs:5}  rows {rows}  plain {plain_time:6.1f} us  "
                f"packed {packed_time:6.1f} us  {plain_time / packed_time:5.2f}x"
            )


@torch.inference_mode()
def best(apply: Callable[[Tensor], Tensor], states: Tensor, calls: int = 200) -> float:
    """Return the fewest microseconds a call took on average over one round of calls."""
    rounds = []
    for _ in range(8):
        start = time.perf_counter()
        for _ in range(calls):
            apply(states)
        rounds.append((time.perf_counter() - start) / calls * 1e6)
    return min(rounds)


if __name__ == "__main__":
    main()

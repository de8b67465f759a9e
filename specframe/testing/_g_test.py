"""The test of counts against a law."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

ALPHA = 1e-6  # a check with a fixed seed that passes once passes always; this is for other seeds
LEAST_EXPECTED = 5.0


def g_test(counts: Sequence[int], law: Sequence[float]) -> float:
    """Return the probability of counts this far from a law, were they drawn from it.

    The likelihood-ratio test (Wilks), its statistic compared with the chi-square law. Cells that
    expect fewer than 5 are merged, the least likely first; a count where the law has none is 0.
    """
    total = sum(counts)
    if any(count and not chance > 0 for count, chance in zip(counts, law, strict=True)):
        return 0.0
    cells = _merged(counts, [total * chance for chance in law])
    statistic = 2 * sum(
        observed * math.log(observed / expected) for observed, expected in cells if observed
    )
    if len(cells) < 2:
        return 1.0
    freedom = torch.tensor((len(cells) - 1) / 2, dtype=torch.float64)
    half = torch.tensor(max(statistic, 0.0) / 2, dtype=torch.float64)
    return float(torch.special.gammaincc(freedom, half))


def _merged(counts: Sequence[int], expected: Sequence[float]) -> list[tuple[int, float]]:
    cells: list[tuple[int, float]] = []
    pooled, pool = 0, 0.0
    for count, mass in sorted(zip(counts, expected, strict=True), key=lambda cell: cell[1]):
        if mass >= LEAST_EXPECTED:
            cells.append((count, mass))
            continue
        pooled, pool = pooled + count, pool + mass
        if pool >= LEAST_EXPECTED:
            cells.append((pooled, pool))
            pooled, pool = 0, 0.0
    if cells and pool > 0:  # what is left over is too little for a cell of its own
        count, mass = cells[0]
        cells[0] = (count + pooled, mass + pool)
    return cells

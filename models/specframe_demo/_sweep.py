"""Sweep exit layer, steps and threshold; the best values go into the adapter's metadata."""

from __future__ import annotations

import itertools
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

import specframe
from specframe_demo._measure import best_pair, speedup

STEPS = (2, 4, 6, 8)
THRESHOLDS = (0.2, 0.4, 0.6, 0.8)
TIE = 0.95  # two runs of one setting differ by that much


@attrs.frozen
class Point:
    """One setting and what it gave, as medians over prompts."""

    exit_layer: int
    steps: int
    threshold: float
    mean_acceptance_length: float
    drafted: float
    speedup: float


@attrs.frozen
class Table:
    """All points of a sweep."""

    points: tuple[Point, ...]

    @property
    def best(self) -> Point:
        """Return, of the settings that timing cannot tell from the fastest, the most accepting."""
        fastest = max(point.speedup for point in self.points)
        tied = [point for point in self.points if point.speedup >= TIE * fastest]
        return max(tied, key=lambda point: point.mean_acceptance_length)


def sweep(model: Path, adapters: Path, layers: Sequence[int], prompts: list[str]) -> Table:
    """Decode ``prompts`` at every setting, each run beside plain decoding.

    ``adapters`` holds one folder per exit layer, named after it.
    """
    points = [
        measure_point(model, adapters / str(layer), layer, (steps, threshold), prompts)
        for layer, steps, threshold in itertools.product(layers, STEPS, THRESHOLDS)
    ]
    return Table(tuple(points))


def measure_point(
    model: Path, adapter: Path, layer: int, setting: tuple[int, float], prompts: list[str]
) -> Point:
    """Decode ``prompts`` at one setting of (steps, threshold)."""
    steps, threshold = setting
    options = {
        "adapter": str(adapter),
        "exit_layer": layer,
        "steps": steps,
        "threshold": threshold,
    }
    with specframe.load(model, options=options) as kangaroo, kangaroo.plain() as plain:
        pairs = [best_pair(kangaroo, plain, prompt, repeats=1) for prompt in prompts]
    point = Point(
        layer,
        steps,
        threshold,
        statistics.median(fast.mean_acceptance_length or 0.0 for fast, _ in pairs),
        statistics.median(fast.num_draft_tokens / fast.num_spec_steps for fast, _ in pairs),
        statistics.median(speedup(pair) for pair in pairs),
    )
    print(f"sweep: {point}", file=sys.stderr, flush=True)  # noqa: T201 (progress)
    return point

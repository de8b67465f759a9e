"""Compare the engine's speed with transformers at 7B and 8B: random weights, planted acceptance.

    python benchmarks/gpu.py                      # both models, on CUDA, in bfloat16
    python benchmarks/gpu.py --models vicuna-7b --acceptance 0.8
    python benchmarks/gpu.py --tiny               # toy sizes on any machine: shows that it runs

Weights are random and made on the device; the Kangaroo adapter has its real size. All compute of
drafter and target is real, then tokens are replaced so that a given share of drafts is accepted
(``planted.py``): the figures show the engine, not how well a drafter guesses.
The floor is the bytes that a pass must read, divided by the bandwidth of a copy on this device. The
bound is that of a chain of the best fixed length at these floors, 25 us for each wait of the host;
tree and confidence stop are shown without a bound. A row that fails says why, the others continue,
and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial

import attrs
import torch
from gpu_runs import (
    EXIT_LAYER,
    LONGEST_CHAIN,
    Bench,
    Figure,
    Setting,
    Shape,
    attempt,
    copy_bandwidth,
    generate,
    kangaroo,
    random_model,
)
from planted import PlantedStop, Script

from specframe import Drafter, StopPolicy
from specframe_plain._drafter import PlainDrafter

SYNC_SECONDS, TREE_STEPS = 25e-6, 6


SHAPES = {
    "vicuna-7b": Shape(32, 4096, 11_008, 32, 32, 32_000),
    "llama-3.1-8b": Shape(32, 4096, 14_336, 32, 8, 128_256),
}
TINY = {"tiny-mha": Shape(4, 64, 96, 4, 4, 320), "tiny-gqa": Shape(4, 64, 96, 4, 2, 320)}


@attrs.frozen
class Floors:
    """Hold the least seconds of each part of a round, at one bandwidth."""

    layer: float
    head: float
    adapter: float
    layers: int

    @classmethod
    def of(cls, shape: Shape, bandwidth: float, bytes_each: int) -> Floors:
        """Divide bytes by bandwidth."""
        values = (shape.layer_values, shape.head_values, shape.adapter_values)
        return cls(*(count * bytes_each / bandwidth for count in values), shape.layers)

    @property
    def plain(self) -> float:
        """Return the least seconds of one plainly decoded token."""
        return self.layers * self.layer + self.head

    def bound(self, acceptance: float) -> tuple[float, int]:
        """Return the largest speed-up of a chain at an acceptance rate, and its best length."""
        lengths = range(1, LONGEST_CHAIN + 1)
        return max((self._speedup(acceptance, steps), steps) for steps in lengths)

    def _speedup(self, acceptance: float, steps: int) -> float:
        shallow = EXIT_LAYER * self.layer
        draft = shallow + self.adapter + self.head + SYNC_SECONDS
        verify = (self.layers - EXIT_LAYER) * self.layer + self.head + SYNC_SECONDS
        tokens = (1 - acceptance ** (steps + 1)) / (1 - acceptance)
        return tokens * self.plain / (shallow + steps * draft + verify)


@attrs.frozen
class Course:
    """Hold what all of our rows of one model are measured on."""

    shape: Shape
    setting: Setting
    floors: Floors
    bench: Bench

    def plain(self) -> Figure:
        """Measure plain decoding and print its row."""
        figure = attempt(
            lambda: self.bench.measure(PlainDrafter(), PlantedStop(0), self._script(0.0))
        )
        line("plain", figure, self.floors, figure)
        return figure

    def kangaroo(self, rate: float, plain: Figure) -> list[Figure]:
        """Measure Kangaroo at an acceptance rate and print a row for each of its ways."""
        bound, steps = self.floors.bound(rate)
        script = self._script(rate)
        chain, tree = kangaroo(self.shape, tree=False), kangaroo(self.shape, tree=True)
        ways: list[tuple[str, Drafter, StopPolicy, float | None]] = [
            (f"chain of {steps}", chain, PlantedStop(steps), bound),
            ("confidence stop", chain, PlantedStop(LONGEST_CHAIN, script), None),
            ("tree", tree, PlantedStop(TREE_STEPS), None),
        ]
        figures = []
        for what, drafter, stop, limit in ways:
            figure = attempt(partial(self.bench.measure, drafter, stop, script))
            line(f"{rate:.1f} Kangaroo, {what}", figure, self.floors, plain, limit)
            figures.append(figure)
        return figures

    def _script(self, rate: float) -> Script:
        setting = self.setting
        return Script.of(rate, 4 * setting.tokens, self.shape.vocab, setting.device)


def main() -> int:
    """Measure and print one table a model; return 1 where a row failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=[*SHAPES], default=[*SHAPES])
    parser.add_argument("--acceptance", nargs="+", type=float, default=[0.6, 0.7, 0.8, 0.9])
    parser.add_argument("--max-new-tokens", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="toy sizes, on a CPU too")
    given = parser.parse_args()
    if not given.tiny and not torch.cuda.is_available():
        parser.error("there is no CUDA device: --tiny runs the same on a CPU, at toy sizes")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    prompt = [(37 * place + 5) % 300 for place in range(24 if given.tiny else 128)]
    setting = Setting(device, dtype, prompt, given.max_new_tokens, given.repeats)
    figures = []
    for name, shape in TINY.items() if given.tiny else ((m, SHAPES[m]) for m in given.models):
        with torch.inference_mode():
            figures += show(name, shape, setting, given.acceptance)
    return int(any(figure.error for figure in figures))


def show(name: str, shape: Shape, setting: Setting, rates: Sequence[float]) -> list[Figure]:
    """Measure one model in every way, print its table and return its rows."""
    bandwidth = copy_bandwidth(setting.device)
    floors = Floors.of(shape, bandwidth, setting.dtype.itemsize)
    where = torch.cuda.get_device_name() if setting.device.type == "cuda" else "CPU"
    print(
        f"\n{name}: random weights, {setting.dtype}, {where}, torch {torch.__version__}, "
        f"{time.strftime('%Y-%m-%d')}; a copy moves {bandwidth / 1e12:.3f} TB/s; floor "
        f"{floors.plain * 1e3:.3f} ms a token; acceptance is PLANTED"
    )
    model = random_model(shape, setting)
    figures = []
    for what, compiled in (("transformers.generate", False), ("  compiled, static cache", True)):
        figures.append(attempt(partial(generate, model, setting, compiled=compiled)))
        line(what, figures[-1], floors)
    course = Course(shape, setting, floors, Bench(model, setting))
    plain = course.plain()
    return [*figures, plain, *(each for rate in rates for each in course.kangaroo(rate, plain))]


def line(
    name: str,
    figure: Figure,
    floors: Floors,
    plain: Figure | None = None,
    bound: float | None = None,
) -> None:
    """Print one row of the table, or why there are no figures."""
    if figure.error is not None:
        print(f"{name:32} failed: {figure.error}", flush=True)
        return
    cells = [f"{name:32} {figure.seconds * 1e3:8.3f} ms/token"]
    cells.append(f"{floors.plain / figure.seconds:6.1%} of the floor")
    if plain is not None and plain.error is None:
        speedup = plain.seconds / figure.seconds
        cells.append(f"{speedup:5.2f}x plain, {figure.length:4.2f} tokens a round")
        if bound is not None:
            cells.append(f"{speedup / bound:6.1%} of the bound {bound:.2f}x")
    if figure.idle is not None:
        cells.append(f"device idle {figure.idle:5.1%}")
    if figure.memory is not None:
        cells.append(f"peak memory {figure.memory:.1%} of weights and caches")
    print("  ".join(cells), flush=True)


if __name__ == "__main__":
    sys.exit(main())

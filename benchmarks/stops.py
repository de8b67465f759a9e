"""Compare stop policies on Kangaroo over the bundled prompts: sweeps of fixed ones, and the rest.

    python benchmarks/stops.py
    python benchmarks/stops.py --num-prompts 8 --repeats 1 --thresholds 0.2 0.4 --lengths 4

Every policy drafts at most ``--steps`` levels. The runs of a prompt are interleaved, and each is
compared with plain decoding of the same prompt in the same repeat; of the repeats, the fastest run
of each counts. A policy's state is cleared before each repeat and carried from prompt to prompt
within it; ``cost-aware, cold`` is cleared before each prompt.

"repeats" is the share of an output's 8-grams that had occurred before: loops raise acceptance.
The column "by cost" leaves out the clock's noise: it charges every round the median time, over all
runs, of a round with as many levels (a line through those medians), and divides plain decoding's
charge by the total. It depends on the machine through that one line alone, which is printed.
"""

from __future__ import annotations

import argparse
import collections
import importlib.resources
import itertools
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import attrs
import torch

import specframe
from specframe import Decoder, RowRound
from specframe.bench._statistics import repeated_grams
from specframe_demo import read_prompts

DEMO = Path(str(importlib.resources.files("specframe_demo")))
PLAIN = "plain"
LEARNED = ("heuristic", "svip", "adaedl", "adaptive-confidence", "cost-aware")
COLD = "cost-aware, cold"


@attrs.frozen
class Run:
    """What decoding one prompt once gave."""

    tokens: list[int]
    seconds: float
    rounds: list[tuple[int, float]]  # levels drafted, seconds

    @property
    def rate(self) -> float:
        """Return tokens per second without the prefill, whose token is not counted."""
        return (len(self.tokens) - 1) / self.seconds


@attrs.frozen
class Line:
    """What a round takes: seconds without drafts, and for each level."""

    base: float
    level: float

    def charge(self, run: Run) -> float:
        """Return what a run would take if every round took what its levels cost."""
        return sum(self.base + self.level * levels for levels, _ in run.rounds)


Runs = dict[str, list[list[Run]]]  # by policy: [prompt][repeat]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--num-prompts", type=int, default=24)
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--tree", action="store_true")
    parser.add_argument(
        "--thresholds", type=float, nargs="*", default=[step / 10 for step in range(1, 10)]
    )
    parser.add_argument("--lengths", type=int, nargs="*", default=[1, 2, 3, 4, 6, 8])
    arguments = parser.parse_args()
    prompts = read_prompts(DEMO)[: arguments.num_prompts]
    settings = {
        "max_new_tokens": arguments.max_new_tokens,
        "eos_token_id": (),
        "temperature": arguments.temperature,
        "seed": 7,
    }
    runs = measure(load_all(arguments), prompts, arguments.repeats, settings)
    show(runs, arguments)


def load_all(arguments: argparse.Namespace) -> dict[str, Decoder]:
    """Return a decoder for each policy and setting."""
    common = {"steps": arguments.steps, "tree": arguments.tree}

    def kangaroo(policy: str, **options: object) -> Decoder:
        return specframe.load(options=common | options, stop_policy=policy)

    decoders = {PLAIN: specframe.load(strategy="none")}
    for threshold in arguments.thresholds:
        decoders[f"confidence {threshold:g}"] = kangaroo("confidence", threshold=threshold)
    for length in arguments.lengths:
        decoders[f"fixed {length}"] = kangaroo("fixed", **{"stop.steps": length})
    return decoders | {name: kangaroo(name) for name in LEARNED} | {COLD: kangaroo("cost-aware")}


def measure(
    decoders: dict[str, Decoder], prompts: list[str], repeats: int, settings: dict[str, Any]
) -> Runs:
    """Return all runs, interleaved; one prompt warms up first."""
    runs: Runs = {name: [[] for _ in prompts] for name in decoders}
    for decoder in decoders.values():
        decoder.decode(prompts[0], **settings)
    for _ in range(repeats):
        for decoder in decoders.values():
            decoder.reset()
        for number, prompt in enumerate(prompts):
            decoders[COLD].reset()
            for name, decoder in decoders.items():
                runs[name][number].append(decode(decoder, prompt, settings))
    return runs


def decode(decoder: Decoder, prompt: str, settings: dict[str, Any]) -> Run:
    """Decode one prompt."""
    result = decoder.decode(prompt, **settings)
    rounds = [(levels_of(round), sum(round.seconds.values())) for round in result.rounds]
    seconds = result.metrics.seconds["total"] - result.metrics.seconds["prefill"]
    return Run(result.token_ids, seconds, rounds)


def levels_of(round: RowRound) -> int:
    """Return how deep a round's draft was."""
    depths: list[int] = []
    for parent in round.draft_parents:
        depths.append(1 if parent < 0 else depths[parent] + 1)
    return max(depths, default=0)


def fit(runs: Runs) -> Line:
    """Return the line through the median round of each length, weighted by how many there were."""
    seconds = collections.defaultdict(list)
    for run in itertools.chain.from_iterable(itertools.chain.from_iterable(runs.values())):
        for levels, taken in run.rounds:
            seconds[levels].append(taken)
    points = [
        (levels, statistics.median(taken))
        for levels, taken in seconds.items()
        for _ in range(len(taken))
    ]
    level, base = statistics.linear_regression(*zip(*points, strict=True))
    return Line(base, level)


def show(runs: Runs, arguments: argparse.Namespace) -> None:
    """Print the machine, the line and a row for each policy, the best of the sweeps marked."""
    line = fit(runs)
    print(
        f"demo model, {'tree' if arguments.tree else 'chain'}, at most {arguments.steps} levels, "
        f"{len(runs[PLAIN])} prompts x {arguments.repeats}, temperature {arguments.temperature:g}; "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads of {os.cpu_count()} CPUs, "
        f"{platform.machine()}, {time.strftime('%Y-%m-%d')}\n"
        f"a round takes {line.base * 1e3:.2f} ms and {line.level * 1e3:.2f} ms a level"
    )
    print(
        f"{'policy':22} {'median':>7} {'mean':>7} {'by cost':>8} {'tokens':>7} {'levels':>7} "
        f"{'repeats':>7}  same"
    )
    for name in runs:
        print(f"{name:22} {row_of(name, runs, line)}")
    for column, value in (("by median", 0), ("by mean", 1), ("by cost", 2)):
        for kind in ("confidence", "fixed"):
            swept = [name for name in runs if name.startswith(f"{kind} ")]
            if swept:
                best = max(swept, key=lambda name: figures(name, runs, line)[value])
                ratio = figures("cost-aware", runs, line)[value] / figures(best, runs, line)[value]
                print(f"{column}, the best of the sweep is {best}; cost-aware: {ratio:.3f} of it")


def figures(name: str, runs: Runs, line: Line) -> tuple[float, float, float]:
    """Return a policy's ratios to plain decoding: median and mean over prompts, and by cost."""
    pairs = list(zip(runs[name], runs[PLAIN], strict=True))
    ratios = [max(r.rate for r in ours) / max(r.rate for r in plain) for ours, plain in pairs]
    charged = sum(line.charge(run) for ours, _ in pairs for run in ours)
    plain = sum(line.charge(run) for _, theirs in pairs for run in theirs)
    return statistics.median(ratios), statistics.mean(ratios), plain / charged


def row_of(name: str, runs: Runs, line: Line) -> str:
    """Return the figures of one policy as a line of the table."""
    median, mean, by_cost = figures(name, runs, line)
    every = list(itertools.chain.from_iterable(runs[name]))
    rounds = sum(len(run.rounds) for run in every)
    tokens = sum(len(run.tokens) - 1 for run in every) / rounds
    levels = sum(levels for run in every for levels, _ in run.rounds) / rounds
    same = sum(
        run.tokens == plain[0].tokens
        for ours, plain in zip(runs[name], runs[PLAIN], strict=True)
        for run in ours
    )
    repeats = repeated_grams(own[0].tokens for own in runs[name]) or 0.0
    figure = f"{median:6.2f}x {mean:6.2f}x {by_cost:7.3f}x {tokens:7.2f} {levels:7.2f}"
    return f"{figure} {repeats:7.1%}  {same}/{len(every)}"


if __name__ == "__main__":
    main()

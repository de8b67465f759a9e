"""Kangaroo's chain and tree on the demo model: greedy and sampled, alone and in batches.

    python benchmarks/batches.py
    python benchmarks/batches.py --num-prompts 8 --repeats 1 --batch-sizes 1

Each line compares with plain decoding at the same batch size and temperature, interleaved with it;
the fastest of several runs counts for each. A rate is all new tokens of all prompts divided by the
wall time, prefills included.
"""

from __future__ import annotations

import argparse
import importlib.resources
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import attrs
import torch

import specframe
from specframe import Decoder, Result
from specframe_demo import read_prompts

DEMO = Path(str(importlib.resources.files("specframe_demo")))
SHAPES: dict[str, dict[str, object]] = {
    "chain": {},
    "tree": {"tree": True},
    "tree, one first node": {"tree": True, "tree_first_k": 1},
}
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "match": {"temperature": 0.7, "seed": 7},
    "rejection": {"temperature": 0.7, "seed": 7},
}


@attrs.frozen
class Run:
    """What decoding all prompts gave."""

    results: list[Result]
    seconds: float

    @property
    def rate(self) -> float:
        """Return new tokens per second, over all prompts."""
        return sum(len(result.token_ids) for result in self.results) / self.seconds

    @property
    def acceptance_length(self) -> float:
        """Return the mean number of tokens a round of a row, over all prompts."""
        committed = sum(len(result.token_ids) - 1 for result in self.results)
        return committed / sum(result.metrics.num_spec_steps for result in self.results)

    @property
    def drafted(self) -> float:
        """Return the mean number of nodes drafted in a round of a row."""
        nodes = sum(result.metrics.num_draft_tokens for result in self.results)
        return nodes / sum(result.metrics.num_spec_steps for result in self.results)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-prompts", type=int, default=8)
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 4, 8])
    arguments = parser.parse_args()
    prompts = read_prompts(DEMO)[:: max(1, 24 // arguments.num_prompts)][: arguments.num_prompts]
    print(
        f"demo model, {len(prompts)} prompts of {arguments.max_new_tokens} new tokens; torch "
        f"{torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, "
        f"{time.strftime('%Y-%m-%d')}"
    )
    for way, settings in WAYS.items():
        decoders = load_all(way)
        for size in arguments.batch_sizes:
            limits = {"max_new_tokens": arguments.max_new_tokens, "batch_size": size}
            show(
                f"{way:9} batch {size}",
                measure(decoders, prompts, settings | limits, arguments.repeats),
            )


def load_all(way: str) -> dict[str, Decoder]:
    """Return plain decoding and the shapes of drafts, with the verifier of a way to sample."""
    verifier = None if way == "greedy" else way
    decoders = {"plain": specframe.load(strategy="none", verifier=verifier)}
    for shape, options in SHAPES.items():
        decoders[shape] = specframe.load(options=options, verifier=verifier)
    return decoders


def measure(
    decoders: dict[str, Decoder], prompts: list[str], settings: dict[str, Any], repeats: int
) -> dict[str, Run]:
    """Return the fastest run of each decoder, after one prompt to warm up."""
    for decoder in decoders.values():
        decoder.decode(prompts[0], **settings)
    runs = [
        {name: run(decoder, prompts, settings) for name, decoder in decoders.items()}
        for _ in range(repeats)
    ]
    return {name: min((each[name] for each in runs), key=lambda r: r.seconds) for name in decoders}


def run(decoder: Decoder, prompts: list[str], settings: dict[str, Any]) -> Run:
    """Decode all prompts."""
    start = time.perf_counter()
    results = decoder.decode(prompts, eos_token_id=(), **settings)
    return Run(results, time.perf_counter() - start)


def show(title: str, best: dict[str, Run]) -> None:
    """Print a line for each shape."""
    plain = best["plain"]
    for shape, found in best.items():
        pairs = list(zip(found.results, plain.results, strict=True))
        same = sum(ours.token_ids == theirs.token_ids for ours, theirs in pairs)
        repeated = statistics.mean(repeated_share(ours.token_ids) for ours, _ in pairs)
        print(
            f"{title}  {shape:21} {found.rate:7.1f} tokens/s  {found.rate / plain.rate:5.2f}x plain"
            f"  {found.acceptance_length:5.2f} tokens a round  {found.drafted:5.1f} drafted"
            f"  same tokens {same}/{len(pairs)}  repeated 8-grams {repeated:.0%}",
            flush=True,
        )


def repeated_share(tokens: list[int], length: int = 8) -> float:
    """Return the share of n-grams that are repeats: loops raise acceptance."""
    grams = [tuple(tokens[at : at + length]) for at in range(len(tokens) - length + 1)]
    return 1 - len(set(grams)) / len(grams)


if __name__ == "__main__":
    main()

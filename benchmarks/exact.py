"""Print what exact mode costs: each strategy with --exact against the same one without.

    python benchmarks/exact.py [--model FOLDER]

All decode the same prompts in turn; the fastest of several runs counts for each, and ratios
are taken within one prompt. The loop ends with an error if exact logits differ in a single bit.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import platform
import statistics
import time
from pathlib import Path

import torch

import specframe

DEMO = Path(str(importlib.resources.files("specframe_demo")))
DTYPES = ("float32", "bfloat16")
NEW_TOKENS = 64
PROMPTS, REPEATS = 4, 2


def main() -> None:
    """Measure both dtypes and print one line a way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="folder (default: the demo model)")
    folder = parser.parse_args().model
    lines = (DEMO / "prompts.jsonl").read_text("utf-8").splitlines()
    prompts = [json.loads(line)["prompt"] for line in lines[:PROMPTS]]
    print(
        f"{folder or 'demo'}, {len(prompts)} prompts of {NEW_TOKENS} new tokens; torch "
        f"{torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, "
        f"{time.strftime('%Y-%m-%d')}"
    )
    for dtype in DTYPES:
        decoders = ways(folder, dtype)
        show(dtype, [rates(decoders, prompt) for prompt in prompts])


def ways(folder: str | None, dtype: str) -> dict[str, specframe.Decoder]:
    """Return the decoders to compare, plain and Kangaroo, normal and exact; print load times."""
    times = [time.perf_counter()]
    normal = specframe.load(folder, dtype=dtype)
    times.append(time.perf_counter())
    exact = specframe.load(folder, dtype=dtype, exact=True)
    times.append(time.perf_counter())
    print(
        f"{dtype:9} loading {times[1] - times[0]:.1f} s, with --exact and its probe "
        f"{times[2] - times[1]:.1f} s"
    )
    return {
        "plain": normal.plain(),
        "exact plain": exact.plain(),
        "kangaroo": normal,
        "exact kangaroo": exact,
    }


def rates(decoders: dict[str, specframe.Decoder], prompt: str) -> dict[str, float]:
    """Return the best tokens per second of each way, prefill left out."""
    best = dict.fromkeys(decoders, 0.0)
    for _ in range(REPEATS):
        results = {name: decode(decoder, prompt) for name, decoder in decoders.items()}
        for name, result in results.items():
            best[name] = max(best[name], result.metrics.tokens_per_second or 0.0)
        if not torch.equal(results["exact plain"].logits, results["exact kangaroo"].logits):
            raise SystemExit("exact logits differ: this is a bug")
    return best


def decode(decoder: specframe.Decoder, prompt: str) -> specframe.Result:
    """Decode one prompt to its full length."""
    result: specframe.Result = decoder.decode(
        prompt, max_new_tokens=NEW_TOKENS, eos_token_id=(), output_logits=True
    )
    return result


def show(dtype: str, best: list[dict[str, float]]) -> None:
    """Print medians over prompts: rates, and ratios to the same way without --exact."""
    for name in best[0]:
        without = name.removeprefix("exact ")
        rate, *ratios = (
            statistics.median(one[name] / (one[other] if other else 1.0) for one in best)
            for other in (None, without, "plain", "exact plain")
        )
        print(
            f"{dtype:9} {name:15} {rate:6.1f} tokens/s  {ratios[0]:.2f}x without --exact  "
            f"{ratios[1]:.2f}x plain  {ratios[2]:.2f}x exact plain"
        )


if __name__ == "__main__":
    main()

"""Decode the demo prompts with several strategies and with transformers, interleaved.

    python benchmarks/decode.py [--model FOLDER] [--strategies none kangaroo] [--repeats 3]

Prints the median rate of each over all prompts and its ratio to plain decoding in the same run.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import statistics
import time
from collections.abc import Callable

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import specframe

DEMO = importlib.resources.files("specframe_demo")
GENERATE = "transformers.generate"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="folder or hub id (default: the demo model)")
    parser.add_argument("--strategies", nargs="+", default=["none", "kangaroo"])
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--num-prompts", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()

    runs = {
        name: decode(specframe.load(arguments.model, strategy=name), arguments.max_new_tokens)
        for name in arguments.strategies
    }
    runs[GENERATE] = generate(arguments.model or str(DEMO / "model"), arguments.max_new_tokens)
    rates = measure(runs, prompts()[: arguments.num_prompts], arguments.repeats)
    plain = rates.get("none", rates[GENERATE])
    for name, rate in rates.items():
        print(f"{name:24} {rate:8.1f} tokens/s {rate / plain:6.2f}x")


def prompts() -> list[str]:
    """Return the prompts that come with the demo model."""
    lines = (DEMO / "prompts.jsonl").read_text("utf-8")
    return [json.loads(line)["prompt"] for line in lines.splitlines()]


def decode(decoder: specframe.Decoder, budget: int) -> Callable[[str], int]:
    """Return a function that decodes a prompt and returns the number of new tokens."""
    return lambda prompt: len(decoder.decode(prompt, max_new_tokens=budget).token_ids)


def generate(folder: str, budget: int) -> Callable[[str], int]:
    """Return the same for transformers' own greedy decoding: float32 on CPU, as in specframe."""
    on_gpu = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto" if on_gpu else torch.float32)
    model.to("cuda" if on_gpu else "cpu")
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def run(prompt: str) -> int:
        ids = tokenizer(prompt, return_tensors="pt").to(model.device)
        output = model.generate(**ids, max_new_tokens=budget, do_sample=False)
        return int(output.shape[1] - ids["input_ids"].shape[1])

    return run


def measure(
    runs: dict[str, Callable[[str], int]], texts: list[str], repeats: int
) -> dict[str, float]:
    """Return tokens per second: the median of ``repeats`` rounds, each after the other's."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            tokens = sum(run(text) for text in texts)
            if repeat:  # the first round warms up
                rates[name].append(tokens / (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in rates.items()}


if __name__ == "__main__":
    main()

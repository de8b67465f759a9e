"""Decode prompts with several strategies and with transformers, interleaved; print the rates.

    python benchmarks/decode.py                              # the demo model and its prompts
    python benchmarks/decode.py --random llama:20x256        # random weights from a folder
    python benchmarks/decode.py --random qwen3:8x512 --strategies none

Random models: see random_model.py. Each figure is the median over prompts; the fastest of several
interleaved runs counts for each.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from random_model import Shape, write
from transformers import AutoModelForCausalLM, AutoTokenizer

import specframe

DEMO = Path(str(importlib.resources.files("specframe_demo")))
GENERATE = "transformers.generate"


@attrs.frozen
class Run:
    """What decoding one prompt gave."""

    tokens: list[int]
    seconds: float
    acceptance_length: float | None = None

    @property
    def rate(self) -> float:
        """Return tokens per second, prefill included."""
        return len(self.tokens) / self.seconds


Decode = Callable[[list[int]], Run]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="folder (default: the demo model)")
    parser.add_argument("--random", metavar="FAMILY:LAYERSxWIDTH", help="random weights instead")
    parser.add_argument("--strategies", nargs="+", default=["none", "kangaroo"])
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--num-prompts", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(arguments.model or DEMO / "model")
        if arguments.random:
            folder = write(Shape.parse(arguments.random), Path(scratch))
        ids = prompts(folder)[: arguments.num_prompts]
        budget = arguments.max_new_tokens
        ways: dict[str, Decode] = {GENERATE: generate(folder, budget)}
        ways |= {name: decode(folder, name, budget) for name in arguments.strategies}
        show(folder, measure(ways, ids, arguments.repeats))


def prompts(folder: Path) -> list[list[int]]:
    """Return the demo's held-out prompts, or random ids where the model has no tokenizer."""
    if (folder / "tokenizer.json").is_file():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        lines = (DEMO / "prompts.jsonl").read_text("utf-8").splitlines()
        return [tokenizer(json.loads(line)["prompt"])["input_ids"] for line in lines]
    generator = torch.Generator().manual_seed(1)
    return torch.randint(10, 4_000, (12, 128), generator=generator).tolist()


def decode(folder: Path, strategy: str, budget: int) -> Decode:
    """Return specframe's decoding with one strategy."""
    decoder = specframe.load(folder, strategy=strategy)

    def run(ids: list[int]) -> Run:
        start = time.perf_counter()
        result = decoder.decode(ids, max_new_tokens=budget, eos_token_id=())
        seconds = time.perf_counter() - start
        return Run(result.token_ids, seconds, result.metrics.mean_acceptance_length)

    return run


def generate(folder: Path, budget: int) -> Decode:
    """Return transformers' own greedy decoding: float32 on a CPU, as in specframe."""
    on_gpu = torch.cuda.is_available()
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype="auto" if on_gpu else torch.float32
    )
    model.to("cuda" if on_gpu else "cpu").eval()
    model.generation_config.eos_token_id = None

    def run(ids: list[int]) -> Run:
        tokens = torch.tensor([ids], device=model.device)
        start = time.perf_counter()
        output = model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=budget,
            do_sample=False,
            pad_token_id=0,
        )
        return Run(output[0, len(ids) :].tolist(), time.perf_counter() - start)

    return run


def measure(
    ways: dict[str, Decode], ids: Sequence[list[int]], repeats: int
) -> list[dict[str, Run]]:
    """Return the fastest run of each way for each prompt; one prompt warms up first."""
    for way in ways.values():
        way(ids[0])
    best: list[dict[str, Run]] = []
    for prompt in ids:
        runs = [{name: way(prompt) for name, way in ways.items()} for _ in range(repeats)]
        best.append({name: max((run[name] for run in runs), key=lambda r: r.rate) for name in ways})
    return best


def show(folder: Path, best: list[dict[str, Run]]) -> None:
    """Print the machine and, for each way, its rate and its ratios in this run."""
    print(
        f"{folder.name}, {len(best)} prompts; torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads, {platform.machine()}, {time.strftime('%Y-%m-%d')}"
    )
    plain = "none" if "none" in best[0] else GENERATE
    for name in best[0]:
        rate = statistics.median(runs[name].rate for runs in best)
        over = [
            statistics.median(runs[name].rate / runs[other].rate for runs in best)
            for other in (plain, GENERATE)
        ]
        lengths = [runs[name].acceptance_length or 1.0 for runs in best]
        same = sum(runs[name].tokens == runs[GENERATE].tokens for runs in best)
        print(
            f"{name:22} {rate:7.1f} tokens/s  {over[0]:5.2f}x plain  {over[1]:5.2f}x generate  "
            f"{statistics.median(lengths):5.2f} tokens a round  same tokens {same}/{len(best)}"
        )


if __name__ == "__main__":
    main()

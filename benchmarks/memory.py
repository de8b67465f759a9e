"""Show what a long prompt takes in memory beyond the weights and the cache.

    python benchmarks/memory.py [--tokens N]

A random model of the demo's size reads a prompt of 30,000 random tokens, plainly and with
Kangaroo. What the process held before the decode (weights, code) is left out; the highest
resident size during the decode is compared with the size of the caches.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

import torch
from random_model import Shape, write

import specframe

PAGE = 4096
DEMO_SIZE = "llama:20x256"


def main() -> None:
    """Measure both strategies and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=30_000)
    tokens = parser.parse_args().tokens
    print(f"torch {torch.__version__}, {platform.machine()}, {time.strftime('%Y-%m-%d')}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = write(Shape.parse(DEMO_SIZE, window=tokens + 64), Path(scratch))
        for strategy in ("none", "kangaroo"):
            measure(folder, strategy, tokens)


def measure(folder: Path, strategy: str, tokens: int) -> None:
    """Decode a few tokens after the prompt and print what it took."""
    prompt = torch.randint(0, 4_000, (tokens,), generator=torch.Generator().manual_seed(0)).tolist()
    with specframe.load(folder, strategy=strategy) as decoder:
        decoder.decode(prompt[:32], max_new_tokens=4)  # first calls allocate what stays
        with Watch() as watch:
            seconds = decoder.decode(prompt, max_new_tokens=8).metrics.seconds["total"]
        layers = decoder.target.engine.num_layers + (strategy == "kangaroo")
        cache = layers * 2 * tokens * decoder.target.engine.hidden_size * 4 / 1e6
    print(
        f"{strategy:10} {tokens} tokens in {seconds:.0f} s: {watch.growth:.0f} MB, of which the "
        f"cache takes {cache:.0f} and all else {watch.growth - cache:.0f}"
    )


class Watch:
    """Note the highest resident size of this process, in megabytes above that at the start."""

    def __enter__(self) -> Self:
        """Begin to look, a few hundred times a second."""
        self._start = self._peak = resident()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking."""
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.003):
            self._peak = max(self._peak, resident())

    @property
    def growth(self) -> float:
        """Return the growth at its highest."""
        return self._peak - self._start


def resident() -> float:
    """Return the megabytes of this process that are in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * PAGE / 1e6


if __name__ == "__main__":
    main()

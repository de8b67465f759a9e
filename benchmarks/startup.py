"""Show the time from Enter to the first token, and what is imported for it.

    python benchmarks/startup.py [--repeats N]

The yardstick is a bare process that imports only torch and the one model file that the demo model
needs. Both are started in turn; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import collections
import platform
import statistics
import subprocess
import sys
import time

import torch

BARE = "import torch; import transformers.models.llama.modeling_llama; print('x', flush=True)"
OURS = ["-m", "specframe", "decode", "def read_config(path):", "--max-new-tokens", "8", "--quiet"]
IMPORTS = """
import contextlib, io, sys
{bare}
bare = set(sys.modules)
from specframe.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    main({arguments})
print(*sorted(set(sys.modules) - bare))
"""


def main() -> None:
    """Time both in turn, then list what was imported beyond the bare process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    first_token([*OURS])  # fills the file cache and writes bytecode
    pairs = [(first_token(["-c", BARE]), first_token(OURS)) for _ in range(repeats)]
    bare, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(
        f"torch {torch.__version__}, {platform.machine()}, {time.strftime('%Y-%m-%d')}, "
        f"{repeats} repeats"
    )
    print(f"bare imports {bare:.2f} s, specframe's first token {ours:.2f} s: {ours / bare:.2f}x")
    print("imported beyond them:", ", ".join(f"{n} {name}" for name, n in imported().most_common()))


def first_token(arguments: list[str]) -> float:
    """Return the seconds until a Python process writes its first byte."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        seconds = time.perf_counter() - start
        process.stdout.read()
    return seconds


def imported() -> collections.Counter[str]:
    """Return how many modules of which packages decoding imports beyond the bare process."""
    code = IMPORTS.format(bare=BARE.rpartition(";")[0], arguments=OURS[2:])
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    return collections.Counter(name.partition(".")[0] for name in output.split())


if __name__ == "__main__":
    main()

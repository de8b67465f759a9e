"""Draw the speed-ups of a benchmark's results as one SVG picture, as README shows it.

    python benchmarks/picture.py FOLDER [--output FILE.svg]

FOLDER is what ``specframe bench --output FOLDER`` wrote.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from specframe.bench import read_results
from specframe.bench._picture import draw_picture


def main() -> None:
    """Read the results and write the picture beside them, or where ``--output`` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with results.json")
    parser.add_argument("--output", type=Path, help="(default: FOLDER/speedup.svg)")
    arguments = parser.parse_args()
    results = read_results(arguments.folder)
    output = arguments.output or arguments.folder / "speedup.svg"
    output.write_text(draw_picture(results), encoding="utf-8")
    print(output)


if __name__ == "__main__":
    main()

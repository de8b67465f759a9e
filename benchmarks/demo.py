"""Print the figures of the demo model's card again: acceptance and speed on held-out prompts.

python benchmarks/demo.py
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from specframe_demo import measure_speed, read_prompts


def main() -> None:
    """Decode every bundled prompt plainly and with Kangaroo, in turn."""
    folder = Path(str(importlib.resources.files("specframe_demo")))
    for name, value in measure_speed(folder / "model", read_prompts(folder)).items():
        print(f"{name:26} {value}")


if __name__ == "__main__":
    main()

"""Write the first layers of a model as a separate draft model.

    python benchmarks/cut_model.py FOLDER [--layers 2] [--model FOLDER]

Without ``--model``, the demo model is cut. Norm, head and tokenizer are copied.
"""

from __future__ import annotations

import argparse
import importlib.resources
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

DEMO = Path(str(importlib.resources.files("specframe_demo"))) / "model"


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--model", type=Path, default=DEMO)
    given = parser.parse_args()
    model: Any = AutoModelForCausalLM.from_pretrained(given.model, dtype="auto")
    model.model.layers = model.model.layers[: given.layers]
    model.config.num_hidden_layers = given.layers
    model.save_pretrained(given.folder)
    if (given.model / "tokenizer.json").is_file():
        AutoTokenizer.from_pretrained(given.model).save_pretrained(given.folder)


if __name__ == "__main__":
    main()

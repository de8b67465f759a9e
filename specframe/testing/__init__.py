"""The conformance kit tells whether a drafter, a strategy or a verifier keeps the rules.

``pip install specframe[testing]``. Importing it loads neither torch nor hypothesis nor pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specframe.testing._machine import DrafterMachine
    from specframe.testing._outcome import CheckResult, ConformanceError
    from specframe.testing._rows import make_rows
    from specframe.testing._strategies import (
        draft_trees,
        prob_pairs,
        tiny_models,
        token_sequences,
    )
    from specframe.testing._suite import check_strategy, checks
    from specframe.testing._tables import Table, TableEngine
    from specframe.testing._tiny import TinyModel

__all__ = [
    "CheckResult",
    "ConformanceError",
    "DrafterMachine",
    "Table",
    "TableEngine",
    "TinyModel",
    "check_strategy",
    "checks",
    "draft_trees",
    "make_rows",
    "prob_pairs",
    "tiny_models",
    "token_sequences",
]

# Public names are imported on first use, so that collecting tests stays fast.
_HOMES = {
    "CheckResult": "_outcome",
    "ConformanceError": "_outcome",
    "DrafterMachine": "_machine",
    "Table": "_tables",
    "TableEngine": "_tables",
    "TinyModel": "_tiny",
    "check_strategy": "_suite",
    "checks": "_suite",
    "draft_trees": "_strategies",
    "make_rows": "_rows",
    "prob_pairs": "_strategies",
    "tiny_models": "_strategies",
    "token_sequences": "_strategies",
}


def __getattr__(name: str) -> object:
    """Import a public name from its home on its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

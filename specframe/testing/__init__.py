"""The conformance kit tells whether a drafter, a strategy or a verifier keeps the rules.

``pip install specframe[testing]``. Importing it loads neither torch nor hypothesis nor pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specframe.testing._check_result import CheckResult, ConformanceError
    from specframe.testing._hypothesis_strategies import (
        draft_trees,
        prob_pairs,
        tiny_models,
        token_sequences,
    )
    from specframe.testing._pytest import StrategyConformance, parametrize_with_checks
    from specframe.testing._rows import make_rows
    from specframe.testing._state_machine import DrafterMachine
    from specframe.testing._strategy_suite import check_strategy, checks
    from specframe.testing._table_target import Table, TableEngine
    from specframe.testing._tiny_model import TinyModel
    from specframe.testing._verifier_suite import check_verifier, verifier_checks

__all__ = [
    "CheckResult",
    "ConformanceError",
    "DrafterMachine",
    "StrategyConformance",
    "Table",
    "TableEngine",
    "TinyModel",
    "check_strategy",
    "check_verifier",
    "checks",
    "draft_trees",
    "make_rows",
    "parametrize_with_checks",
    "prob_pairs",
    "tiny_models",
    "token_sequences",
    "verifier_checks",
]

# Public names are imported on first use, so that collecting tests stays fast.
_HOMES = {
    "CheckResult": "_check_result",
    "ConformanceError": "_check_result",
    "DrafterMachine": "_state_machine",
    "StrategyConformance": "_pytest",
    "Table": "_table_target",
    "TableEngine": "_table_target",
    "TinyModel": "_tiny_model",
    "check_strategy": "_strategy_suite",
    "check_verifier": "_verifier_suite",
    "checks": "_strategy_suite",
    "draft_trees": "_hypothesis_strategies",
    "make_rows": "_rows",
    "parametrize_with_checks": "_pytest",
    "prob_pairs": "_hypothesis_strategies",
    "tiny_models": "_hypothesis_strategies",
    "token_sequences": "_hypothesis_strategies",
    "verifier_checks": "_verifier_suite",
}


def __getattr__(name: str) -> object:
    """Import a public name from its home on its first use."""
    if name not in _HOMES:
        from specframe._deprecation import renamed  # noqa: PLC0415 (nobody else pays for it)

        return renamed(__name__, name)
    try:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in {"hypothesis", "pytest"}:
            raise
        raise ModuleNotFoundError(
            f"specframe.testing.{name} needs {error.name}: pip install 'specframe[testing]'"
        ) from error

"""The benchmark: strategies run side by side, and what their runs say."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specframe.bench._benchmark import BenchOutcome, Job, run
    from specframe.bench._comparison import BenchComparison, Side, compare
    from specframe.bench._contestants import Contestant, read_contestants
    from specframe.bench._memory import IN_WORDS as MEMORY_IN_WORDS
    from specframe.bench._progress import Progress, read_progress
    from specframe.bench._prompts import BenchPrompt, check_prompts
    from specframe.bench._records import Results, Run, StrategyRecord, Summary
    from specframe.bench._results_file import read_results
    from specframe.bench.report._words import differences_in_words

__all__ = [
    "MEMORY_IN_WORDS",
    "BenchComparison",
    "BenchOutcome",
    "BenchPrompt",
    "Contestant",
    "Job",
    "Progress",
    "Results",
    "Run",
    "Side",
    "StrategyRecord",
    "Summary",
    "check_prompts",
    "compare",
    "differences_in_words",
    "read_contestants",
    "read_progress",
    "read_results",
    "run",
]

_HOMES = {
    "MEMORY_IN_WORDS": "_memory:IN_WORDS",
    "BenchPrompt": "_prompts:BenchPrompt",
    "BenchComparison": "_comparison:BenchComparison",
    "Contestant": "_contestants:Contestant",
    "Job": "_benchmark:Job",
    "BenchOutcome": "_benchmark:BenchOutcome",
    "Progress": "_progress:Progress",
    "Results": "_records:Results",
    "Run": "_records:Run",
    "Side": "_comparison:Side",
    "StrategyRecord": "_records:StrategyRecord",
    "Summary": "_records:Summary",
    "check_prompts": "_prompts:check_prompts",
    "compare": "_comparison:compare",
    "differences_in_words": "report._words:differences_in_words",
    "read_contestants": "_contestants:read_contestants",
    "read_progress": "_progress:read_progress",
    "read_results": "_results_file:read_results",
    "run": "_benchmark:run",
}


def __getattr__(name: str) -> object:
    """Import a name from its home on its first use: names of strategies need no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(f"{__name__}.{home}"), attribute)

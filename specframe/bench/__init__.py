"""The benchmark: strategies run side by side, and what their runs say."""

from __future__ import annotations

from specframe.bench._benchmark import Job, Outcome, run
from specframe.bench._comparison import Comparison, compare
from specframe.bench._contestants import Contestant, read_contestants
from specframe.bench._memory import IN_WORDS as MEMORY_IN_WORDS
from specframe.bench._prompts import BenchPrompt, check_prompts
from specframe.bench._reading import read_results
from specframe.bench._records import Results, Run, StrategyRecord, Summary

__all__ = [
    "MEMORY_IN_WORDS",
    "BenchPrompt",
    "Comparison",
    "Contestant",
    "Job",
    "Outcome",
    "Results",
    "Run",
    "StrategyRecord",
    "Summary",
    "check_prompts",
    "compare",
    "read_contestants",
    "read_results",
    "run",
]

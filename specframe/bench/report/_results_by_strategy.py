"""Sort results by strategy: what each was, its summary by task, and its runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from specframe._defaults import PLAIN
from specframe.bench._records import ALL, Results, Run, StrategyRecord, Summary
from specframe.bench.report._words import typed


@attrs.frozen
class ReportedStrategy:
    """Hold what results say of one strategy; ``overall`` is its summary over all tasks."""

    name: str
    about: StrategyRecord
    summaries: Mapping[str, Summary]
    runs: Sequence[Run]

    @property
    def overall(self) -> Summary:
        """Return the summary over all tasks, empty if there is none."""
        return self.summary(ALL)

    def summary(self, task: str) -> Summary:
        """Return the summary of a task, empty if there is none."""
        return self.summaries.get(task) or Summary(self.name, task, num_prompts=0, num_failed=0)

    @property
    def error(self) -> str:
        """Return why it could not be loaded, or why every run failed, else nothing."""
        errors = [run.error for run in self.runs]
        if errors and all(errors):
            return f"all {len(errors)} runs failed, the first: {errors[0]}"
        return self.about.error or ""

    @property
    def is_plain(self) -> bool:
        """Say whether this is our own plain decoding, the yardstick."""
        return not self.is_theirs and self.about.strategy == PLAIN

    @property
    def is_theirs(self) -> bool:
        """Say whether transformers decodes."""
        return self.about.kind == "transformers"

    @property
    def options(self) -> str:
        """Return the options as they are typed."""
        return ", ".join(f"{name}={typed(value)}" for name, value in self.about.options.items())

    def turn_seconds(self, part: Literal["total", "prefill"]) -> float:
        """Return the seconds of one part, or of ``total``, over all turns."""
        spent = [getattr(turn.seconds, part) for run in self.runs for turn in run.turns]
        return sum(finite(each) or 0.0 for each in spent)

    @property
    def rounds(self) -> int:
        """Return how many rounds its summary counts."""
        return sum(self.overall.acceptance_histogram)


def read_strategies(results: Results) -> list[ReportedStrategy]:
    """Return every strategy that is named anywhere in the results, in the order of naming."""
    about = {each.name: each for each in results.header.strategies}
    summaries: dict[str, dict[str, Summary]] = {name: {} for name in about}
    runs: dict[str, list[Run]] = {name: [] for name in about}
    for row in results.summary:
        summaries.setdefault(row.strategy, {})[row.task] = known(row)
    for run in results.runs:
        runs.setdefault(run.strategy, []).append(run)
    return [
        ReportedStrategy(
            name, about.get(name) or unknown(name), summaries.get(name, {}), runs.get(name, [])
        )
        for name in dict.fromkeys([*summaries, *runs])
    ]


def read_tasks(results: Results) -> list[str]:
    """Return the tasks, all of them together first; a single task is the same as all."""
    found = dict.fromkeys(row.task for row in results.summary)
    single = [task for task in found if task != ALL]
    return [ALL] if len(single) == 1 and ALL in found else [ALL, *single]


def unknown(name: str) -> StrategyRecord:
    """Return the description of a strategy that results name and do not describe."""
    return StrategyRecord(
        name=name,
        kind="specframe",
        strategy=name,
        options={},
        verifier=None,
        stop_policy=None,
        guarantee=None,
        state="",
    )


def known(row: Summary) -> Summary:
    """Return a summary without the numbers that are not finite: those are not known."""
    changes: dict[str, Any] = {}
    for field in attrs.fields(Summary):
        value = getattr(row, field.name)
        if isinstance(value, float):
            changes[field.name] = finite(value)
        if isinstance(value, dict):
            numbers = {name: finite(each) for name, each in value.items()}
            changes[field.name] = {k: each for k, each in numbers.items() if each is not None}
    return attrs.evolve(row, **changes)


def finite(value: float | None) -> float | None:
    """Return a number if it is finite, else None."""
    return value if value is not None and math.isfinite(value) else None

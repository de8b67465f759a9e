"""Sort results by strategy: what each was, its summary by task, and its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from specframe._defaults import PLAIN
from specframe.bench.report._values import Values, finite

ALL = "all"
PARTS = ("prefill", "draft", "verify", "other")


@attrs.frozen
class Strategy:
    """Hold what results say of one strategy; ``overall`` is its summary over all tasks."""

    name: str
    about: Values
    summaries: Mapping[str, Values]
    runs: Sequence[Values]

    @property
    def overall(self) -> Values:
        """Return the summary over all tasks, empty if there is none."""
        return self.summaries.get(ALL, Values())

    @property
    def error(self) -> str:
        """Return why it could not be loaded, or why every run failed, else nothing."""
        errors = [run.text("error") for run in self.runs]
        if errors and all(errors):
            return f"all {len(errors)} runs failed, the first: {errors[0]}"
        return self.about.text("error")

    @property
    def is_plain(self) -> bool:
        """Say whether this is our own plain decoding, the yardstick."""
        theirs = self.about.text("kind") == "transformers"
        return not theirs and (self.about.text("strategy") or self.name) == PLAIN

    @property
    def options(self) -> str:
        """Return the options as they are typed."""
        found = self.about.values("options").texts()
        return ", ".join(f"{name}={value}" for name, value in found.items())

    def turn_seconds(self, part: str) -> float:
        """Return the seconds of one part, or of ``total``, over all turns."""
        turns = (turn for run in self.runs for turn in run.items("turns"))
        return sum(turn.values("seconds").number(part) or 0.0 for turn in turns)

    @property
    def rounds(self) -> float:
        """Return how many rounds its summary counts."""
        return sum(histogram(self.overall))


def read_strategies(results: Values) -> list[Strategy]:
    """Return every strategy that is named anywhere in the results, in the order of naming."""
    about = {each.text("name"): each for each in results.items("strategies")}
    summaries: dict[str, dict[str, Values]] = {name: {} for name in about}
    runs: dict[str, list[Values]] = {name: [] for name in about}
    for row in results.items("summary"):
        summaries.setdefault(row.text("strategy"), {})[row.text("task")] = row
    for run in results.items("runs"):
        runs.setdefault(run.text("strategy"), []).append(run)
    return [
        Strategy(name, about.get(name, Values()), summaries.get(name, {}), runs.get(name, []))
        for name in dict.fromkeys([*summaries, *runs])
    ]


def read_tasks(results: Values) -> list[str]:
    """Return the tasks, all of them together first; a single task is the same as all."""
    found = dict.fromkeys(row.text("task") for row in results.items("summary"))
    single = [task for task in found if task != ALL]
    return [ALL] if len(single) == 1 and ALL in found else [ALL, *single]


def histogram(summary: Values) -> list[float]:
    """Return the rounds that accepted 0, 1, 2 ... drafts."""
    return [finite(value) or 0.0 for value in summary.sequence("acceptance_histogram")]

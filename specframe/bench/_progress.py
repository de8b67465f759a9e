"""How far an interrupted benchmark came."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import attrs

from specframe._files import whole_lines
from specframe.bench._journal import RUNS, read_header, read_runs
from specframe.bench._records import Header, Run, Summary
from specframe.bench._summary import Summaries


@attrs.frozen
class Progress:
    """Hold the runs in a folder, and their summary so far.

    No tokens were compared: that is done when all runs are there.
    """

    header: Header
    runs: list[Run]
    summary: list[Summary]

    @property
    def num_planned(self) -> int:
        """Return how many runs each strategy is to have."""
        return self.header.settings.repeats * len(self.header.prompts)

    @property
    def num_runs(self) -> Counter[str]:
        """Return how many runs each strategy has, by name."""
        return Counter(run.strategy for run in self.runs)

    @property
    def num_tokens(self) -> Counter[str]:
        """Return how many new tokens each strategy has decoded, by name."""
        tokens: Counter[str] = Counter()
        for run in self.runs:
            tokens[run.strategy] += sum(len(turn.token_ids) for turn in run.turns)
        return tokens


def read_progress(folder: Path) -> Progress | None:
    """Return how far the benchmark of a folder came; None where it has no run yet.

    Raises InputError for a file that is damaged.
    """
    path = folder / RUNS
    lines = whole_lines(path)
    if len(lines) < 2:
        return None
    header, runs = read_header(lines, path), read_runs(lines, path)
    return Progress(header, runs, Summaries(header, runs, {}).rows())

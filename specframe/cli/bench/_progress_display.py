"""The benchmark as it runs: a live table with a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import attrs

from specframe._words import number
from specframe.cli._display import Notes, is_terminal, tell
from specframe.cli.bench._judging import judging_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specframe.bench import Run, StrategyRecord

LINES = 10  # that a whole benchmark writes where there is no terminal


@attrs.define
class Tally:
    """Add up what one strategy has done so far."""

    runs: int = 0
    failed: int = 0
    tokens: int = 0
    seconds: float = 0.0
    steps: int = 0
    step_tokens: int = 0
    error: str | None = None

    def add(self, run: Run, together: int = 1) -> None:
        """Take in a run; as many as were decoded ``together`` share their seconds."""
        self.runs += 1
        if run.error is not None:
            self.failed += 1
            self.error = run.error
        for turn in run.turns:
            self.tokens += len(turn.token_ids) - turn.first_tokens
            self.seconds += turn.decoding_seconds / together
            self.steps += len(turn.steps)
            self.step_tokens += sum(turn.steps)

    @property
    def rate(self) -> float | None:
        """Return tokens per second after the prefill."""
        return self.tokens / self.seconds if self.seconds else None

    @property
    def cells(self) -> tuple[str, ...]:
        """Return what the live table says."""
        length = self.step_tokens / self.steps if self.steps else None
        return str(self.runs), number(self.rate), number(length, 2), self.error or ""


@attrs.define
class Watch:
    """Follow a benchmark: owns the tallies and what shows them."""

    notes: Notes
    live: bool
    tallies: dict[str, Tally] = attrs.Factory(dict)
    total: int = 0
    done: int = 0
    _display: Any = None
    _bar: Any = None

    def note(self, message: str) -> None:
        """Say what happens beside the runs."""
        self.notes.note(message)

    def begin(self, strategies: Sequence[StrategyRecord], total: int, done: Sequence[Run]) -> None:
        """Show where it starts, and say which strategies cannot take part."""
        self.tallies = {each.name: Tally(error=each.error) for each in strategies}
        self.total = total
        for each in strategies:
            if each.error is not None:
                self.notes.note(f"{each.name} cannot take part: {each.error}")
        if done:
            self.notes.note(f"{len(done)} of {total} runs are there already")
        for run in done:
            self._count(run)
        if self.live:
            self._open()

    def ran(self, runs: Sequence[Run]) -> None:
        """Show what has been run."""
        before = self.done
        for run in runs:
            self._count(run, len(runs))
            if run.error is not None:
                self.notes.note(f"{run.strategy} failed on prompt {run.prompt}: {run.error}")
        if self._display is not None:
            self._bar.update(0, completed=self.done)
            self._display.update(self._view(), refresh=True)
        elif self.done * LINES // self.total > before * LINES // self.total:
            self._line()

    def end(self) -> None:
        """Take the live table away; its figures are printed at the end."""
        if self._display is not None:
            self._display.stop()
            self._display = None

    def judged(self, done: int, total: int) -> None:
        """Show how many differences from plain decoding have been judged."""
        if self.live:
            self._display = self._display or judging_bar(total)
            self._display.update(0, completed=done, refresh=True)
        elif done in (0, total) or done * LINES // total > (done - 1) * LINES // total:
            tell(f"{done} of {total} differences from plain decoding judged")

    def _count(self, run: Run, together: int = 1) -> None:
        self.done += 1
        self.tallies[run.strategy].add(run, together)

    def _line(self) -> None:
        rates = ", ".join(f"{name} {number(each.rate)}" for name, each in self.tallies.items())
        tell(f"{self.done} of {self.total} runs; tokens/s: {rates}")

    def _open(self) -> None:
        from rich.console import Console  # noqa: PLC0415 (only a terminal pays for it)
        from rich.live import Live  # noqa: PLC0415
        from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

        console = Console(stderr=True)
        middle = Progress.get_default_columns()[1:2]
        self._bar = Progress(
            TextColumn("runs"),
            *middle,
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._bar.add_task("runs", total=self.total, completed=self.done)
        # A thread that redraws would take time from what is measured.
        self._display = Live(self._view(), console=console, auto_refresh=False, transient=True)
        self._display.start(refresh=True)

    def _view(self) -> Any:
        from rich import box  # noqa: PLC0415 (only a terminal pays for it)
        from rich.console import Group  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("strategy", "runs", "tokens/s", "tokens a round", "error"):
            table.add_column(name)
        for name, tally in self.tallies.items():
            table.add_row(*(Text(cell) for cell in (name, *tally.cells)))
        return Group(table, self._bar)


def watch(notes: Notes) -> Watch:
    """Return what follows a benchmark on stderr."""
    return Watch(notes, live=not notes.quiet and is_terminal(sys.stderr))

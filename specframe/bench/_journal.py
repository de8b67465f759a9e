"""runs.jsonl: written line by line while it runs, and continued where a run was cut off."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs

from specframe._errors import InputError
from specframe._files import Lines, plain, to_line, whole_lines
from specframe.bench._records import Header, Run, as_record
from specframe.bench._results_file import differences, structured
from specframe.bench._run_order import Slot

RUNS = "runs.jsonl"
MAY_DIFFER = ("command", "created")  # between the runs that write one file


def check_folder(folder: Path, *, resume: bool) -> None:
    """Raise InputError for a folder that this command must not write into."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output {folder} is a file: name a folder")
    if resume or not folder.exists() or not any(folder.iterdir()):
        return
    if (folder / RUNS).exists():
        raise InputError(
            f"{folder} holds a benchmark already: add --resume to continue it, or name another "
            "--output"
        )
    raise InputError(f"--output {folder} is not empty: name another folder")


@attrs.define
class Journal:
    """Own runs.jsonl: its header, its runs so far, and the end where lines are added."""

    header: Header
    runs: list[Run]
    _lines: Lines

    @classmethod
    def open(cls, folder: Path, header: Header, slots: Sequence[Slot]) -> Journal:
        """Begin the file, or continue it: what was cut off is dropped.

        A slot counts as done when all of its runs are there. Raises InputError where the file was
        begun with other settings.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / RUNS
        lines = whole_lines(path)
        first = header if not lines else refuse_other(read_header(lines, path), header, path)
        runs = read_runs(lines, path)
        kept = whole_slots(runs, slots)
        journal = cls(first, runs[:kept], Lines(path, lines[: kept + 1]))
        if not lines:
            journal.write([as_record(header)])
        return journal

    def add(self, runs: Sequence[Run]) -> None:
        """Add the runs of one slot and make sure that they are on the disk."""
        self.runs += runs
        self.write([as_record(run) for run in runs])

    def write(self, records: Sequence[dict[str, Any]]) -> None:
        """Add lines and make sure that they are on the disk."""
        self._lines.append([to_line(record) for record in records])
        self._lines.sync()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lines.close()


def read_header(lines: Sequence[bytes], path: Path) -> Header:
    """Return what the first line holds; raises InputError for a line that is damaged."""
    return structured(_parse(lines[0], path, 1), Header, f"{path}, line 1")


def read_runs(lines: Sequence[bytes], path: Path) -> list[Run]:
    """Return what the lines after the header hold; raises InputError for one that is damaged."""
    return [
        structured(_parse(line, path, number), Run, f"{path}, line {number}")
        for number, line in enumerate(lines[1:], 2)
    ]


def whole_slots(runs: Sequence[Run], slots: Sequence[Slot]) -> int:
    """Return how many of the runs, from the first on, belong to slots that are there as a whole."""
    there = {run.key for run in runs}
    whole = {
        (slot.strategy, prompt.id, slot.repeat)
        for slot in slots
        if all((slot.strategy, prompt.id, slot.repeat) in there for prompt in slot.prompts)
        for prompt in slot.prompts
    }
    return next((at for at, run in enumerate(runs) if run.key not in whole), len(runs))


def refuse_other(first: Header, header: Header, path: Path) -> Header:
    """Return the header of the file, if it is for the same benchmark."""
    was, now = (
        {key: value for key, value in plain(as_record(each)).items() if key not in MAY_DIFFER}
        for each in (first, header)
    )
    if other := differences(was, now):
        listed = "; ".join(f"{name} {before}, now {after}" for name, before, after in other)
        raise InputError(
            f"{path} was begun with other settings ({listed}): give those, or name another --output"
        )
    return first


def _parse(line: bytes, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise InputError(
            f"{path}, line {number}: no line of a benchmark; name another --output"
        ) from error

"""The output of ``--prompts``: one line a prompt, never torn, continued by a rerun."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs

from specframe._errors import InputError
from specframe._files import Lines, plain, to_line, whole_lines, write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from specframe.cli._prompt_file import Id


@attrs.define
class OutputFile:
    """Own an output file: its lines so far, and the end where lines are added.

    ``FILE.run.json`` beside it holds the settings of the first run: lines of different settings
    never end up in one file.
    """

    path: Path
    done: dict[Id, bool]  # id -> whether its line is an error
    _lines: Lines

    @classmethod
    def open(cls, path: Path, settings: dict[str, Any]) -> OutputFile:
        """Open ``path`` to add lines: a torn last line is dropped, other settings are refused.

        Raises InputError when the file holds what this command did not write.
        """
        settings = plain(settings)
        lines = whole_lines(path)
        done = read_done(lines, path)
        if done:
            refuse_other_settings(settings_path(path), path, settings)
        elif path.exists() and path.stat().st_size and not settings_path(path).exists():
            raise InputError(f"{path} exists and is no output of --prompts: name another file")
        else:
            write_atomically(settings_path(path), to_line(settings) + "\n")
        return cls(path, done, Lines(path, lines))

    def add(self, id: Id, record: dict[str, Any]) -> None:  # noqa: A002 (the key's name)
        """Add a prompt's line and make sure that it is on the disk."""
        self._lines.append([to_line({"id": id, **record})])
        self._lines.sync()
        self.done[id] = "error" in record

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lines.close()


def read_done(lines: Sequence[bytes], path: Path) -> dict[Id, bool]:
    """Return the ids in the file, each with whether its prompt failed."""
    done: dict[Id, bool] = {}
    for number, raw in enumerate(lines, 1):
        try:
            record = json.loads(raw)
            done[record["id"]] = "error" in record
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}, line {number}: no line of an output of --prompts; name another file"
            ) from error
    return done


def settings_path(path: Path) -> Path:
    """Return the path of the file with the settings of the first run."""
    return path.with_name(f"{path.name}.run.json")


def refuse_other_settings(beside: Path, path: Path, settings: dict[str, Any]) -> None:
    """Raise InputError, naming what differs, when ``path`` was begun with other settings."""
    try:
        first = json.loads(beside.read_bytes())
        keys = sorted(first.keys() | settings.keys())
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} cannot be continued: {beside} with the settings of its first run is "
            "missing or damaged; name another --output"
        ) from error
    other = [key for key in keys if first.get(key) != settings.get(key)]
    if other:
        was = ", ".join(f"{key} {to_line(first.get(key))}" for key in other)
        now = ", ".join(f"{key} {to_line(settings.get(key))}" for key in other)
        raise InputError(
            f"{path} was begun with other options ({was}; now {now}): give those, "
            "or name another --output"
        )

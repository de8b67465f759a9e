"""Files that are never torn, and JSON that every parser reads."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any


def to_line(value: object, *, ascii_only: bool = False) -> str:
    """Return ``value`` as one line of JSON; numbers that are not finite become null, paths text."""
    return json.dumps(plain(value), ensure_ascii=ascii_only, allow_nan=False)


def plain(value: Any) -> Any:
    """Return ``value`` as JSON can hold it: no NaN, no infinity, no path, no tuple."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def whole_lines(path: Path) -> list[bytes]:
    """Return a file's lines without their ends, and without a torn last one; none for no file."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


class Lines:
    """Own a file that grows by whole lines: a line is written completely or not at all."""

    def __init__(self, path: Path, kept: Sequence[bytes] = ()) -> None:
        """Open ``path`` to add lines after ``kept``, its first lines; drop the others.

        ``kept`` is as ``whole_lines`` returns it.
        """
        self._end = sum(len(line) + 1 for line in kept)
        self._file = path.open("ab", buffering=0)
        if self._file.seekable():  # a pipe has nothing to drop
            self._file.truncate(self._end)

    def append(self, lines: Iterable[str]) -> None:
        """Add all of these lines; or raise OSError and add none, as when the disk is full."""
        content = "".join(f"{line}\n" for line in lines).encode()
        rest = memoryview(content)
        try:
            while rest:  # a disk that fills up writes a part and then fails
                rest = rest[self._file.write(rest) :]
        except BaseException:
            with suppress(OSError):  # a pipe takes nothing back
                self._file.truncate(self._end)
            raise
        self._end += len(content)

    def sync(self) -> None:
        """Wait until the lines are on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def write_atomically(path: Path, text: str) -> None:
    """Write a file completely or not at all."""
    draft = path.with_name(f"{path.name}.tmp")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def is_same_file(one: Path, other: Path) -> bool:
    """Say whether two paths are one file, even if case or a link makes them look like two."""
    try:
        return one.samefile(other)
    except OSError:  # one of them is missing
        return one.resolve() == other.resolve()

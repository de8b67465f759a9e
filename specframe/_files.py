"""Files that are never torn, and JSON without what is no JSON."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any


def to_line(value: object, *, ascii_only: bool = False) -> str:
    """Return ``value`` as one line of JSON; what is not finite becomes null, a path text."""
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


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is there as a whole or not at all."""
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
    """Say whether two paths are one file, also where case or a link makes them look like two."""
    try:
        return one.samefile(other)
    except OSError:  # one of them is missing
        return one.resolve() == other.resolve()

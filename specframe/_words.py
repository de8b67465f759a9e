"""How messages say things: one home for the phrases that many of them share."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def cause(error: BaseException) -> str:
    """Return an exception as one line: its type and message."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def suggestion(name: str, known: list[str]) -> str:
    """Return ": did you mean 'x'?" or a full stop, to follow an unknown name."""
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean '{near[0]}'?" if near else "."


def number(value: float | None, digits: int = 1) -> str:
    """Return a figure for people; null (0/0) is "n/a"."""
    return "n/a" if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """Return a share for people."""
    return "n/a" if value is None else f"{value:.1%}"


def times(value: float | None) -> str:
    """Return a ratio for people: "1.52x"."""
    return "n/a" if value is None else f"{value:.2f}x"


def counted(many: int, noun: str) -> str:
    """Return "1 token", "2 tokens"."""
    return f"{many} {noun}{'' if many == 1 else 's'}"


def dtype_name(dtype: object) -> str:
    """Return a dtype of torch as people type it: "float32"."""
    return str(dtype).removeprefix("torch.")


def first_difference(one: Sequence[int], other: Sequence[int]) -> int | None:
    """Return the first index at which tokens differ, or one side has no more; else None."""
    if one == other:
        return None
    shorter = min(len(one), len(other))
    return next((at for at in range(shorter) if one[at] != other[at]), shorter)

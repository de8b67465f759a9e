"""How messages say things: one home for the phrases that many of them share."""

from __future__ import annotations

import difflib


def cause(error: BaseException) -> str:
    """Return an exception as one line: its type and message."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def suggestion(name: str, known: list[str]) -> str:
    """Return ": did you mean 'x'?" or a full stop, to follow an unknown name."""
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean '{near[0]}'?" if near else "."

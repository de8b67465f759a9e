"""The result of a check, and what it raises."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import attrs

# What every decode relies on: while one of these fails, most other checks fail for its sake.
GROUNDS = (
    "check_tokens_are_in_vocabulary",
    "check_trees_are_well_formed",
    "check_room_is_respected",
)
Status = Literal["passed", "failed", "skipped", "expected"]


class Broken(AssertionError):  # noqa: N818 (a verdict; no code of ours went wrong)
    """A rule is broken; the message says what was done, with a small example."""


class NotApplicable(Exception):  # noqa: N818 (no error: a check has nothing to say)
    """A check does not apply; the message names the capability that is not declared."""


class ConformanceError(AssertionError):
    """At least one check failed, or none of them applied."""


@attrs.frozen
class CheckResult:
    """Hold what became of one check.

    ``status`` is passed, failed, skipped (it does not apply) or expected (a failure that was
    declared beforehand); ``reason`` says why it was not passed; ``seconds`` is how long it took,
    ``examples`` how many generated cases ran.
    """

    name: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    examples: int = 0

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.name}: {self.status}{f': {self.reason}' if self.reason else ''}"


def first_to_mend(failed: Collection[str]) -> str | None:
    """Return which of several checks that failed makes the others mean little, if any does."""
    grounds = [name for name in GROUNDS if name in failed]
    return grounds[0] if grounds and len(failed) > 1 else None

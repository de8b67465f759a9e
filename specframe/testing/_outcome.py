"""What a check comes to."""

from __future__ import annotations

from typing import Literal

import attrs

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

    ``expected`` is a failure that was declared beforehand; ``reason`` says why it failed, was
    skipped or was expected to fail; ``examples`` counts the generated cases that ran.
    """

    name: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    examples: int = 0

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.name}: {self.status}{f': {self.reason}' if self.reason else ''}"

"""What is on its way out, until which release, and what takes its place."""

from __future__ import annotations

import warnings

import attrs


@attrs.frozen
class Deprecation:
    """Name something that goes, the release that takes it away, and what to use instead.

    ``removed_in`` is a version such as "0.3.0". A test fails when that release is reached and the
    old thing is still there.
    """

    old: str
    new: str
    since: str
    removed_in: str

    def __str__(self) -> str:
        return (
            f"specframe.{self.old} is deprecated since {self.since} and goes in {self.removed_in}: "
            f"use specframe.{self.new}"
        )

    def warn(self, stacklevel: int = 2) -> None:
        """Warn whoever is ``stacklevel`` calls above."""
        warnings.warn(str(self), DeprecationWarning, stacklevel=stacklevel + 1)


# Public names that were renamed; `specframe.__getattr__` goes on answering to the old ones.
RENAMED: dict[str, Deprecation] = {}


def new_name(old: str) -> str | None:
    """Return what a public name is called now, with a warning; None where it was not renamed."""
    deprecation = RENAMED.get(old)
    if deprecation is None:
        return None
    deprecation.warn(stacklevel=3)
    return deprecation.new

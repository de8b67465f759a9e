"""What will be removed, in which release, and what replaces it."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import attrs


@attrs.frozen
class Deprecation:
    """Name what will be removed, the release that removes it, and what to use instead.

    ``old`` and ``new`` are what people write: "specframe.Drafter", "specframe.load(model_name=)".
    ``removed_in`` is a version such as "0.3.0". A test fails if the old
    thing is still there in that release.
    """

    old: str
    new: str
    since: str
    removed_in: str

    def __str__(self) -> str:
        return (
            f"{self.old} is deprecated since {self.since} and will be removed in "
            f"{self.removed_in}: use {self.new}"
        )

    def warn(self, stacklevel: int = 2) -> None:
        """Warn the caller that is ``stacklevel`` calls above."""
        warnings.warn(str(self), DeprecationWarning, stacklevel=stacklevel + 1)

    def call(self, *arguments: object) -> object:
        """Warn the caller of a method that will be removed, and call the function instead."""
        self.warn(stacklevel=3)
        return _found(self.new.removesuffix("()"))(*arguments)


# All of them, by `old`. A module finds old names through `renamed`. An old argument, method or
# value is still accepted where it was, by code that says
# `DEPRECATED["specframe.load(model_name=)"].warn()`.
_ALL = (
    Deprecation("specframe.Draft.check()", "specframe.check_draft()", "0.1.0", "0.2.0"),
    Deprecation("specframe.Rows.leave()", "specframe.leave()", "0.1.0", "0.2.0"),
)
DEPRECATED: dict[str, Deprecation] = {each.old: each for each in _ALL}


def renamed(module: str, name: str) -> object:
    """Return what an old name of a module means now, and warn the caller.

    Raises AttributeError for what never was a name. For a module's ``__getattr__``.
    """
    deprecation = DEPRECATED.get(f"{module}.{name}")
    if deprecation is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    deprecation.warn(stacklevel=3)
    return _found(deprecation.new)


def _found(name: str) -> Any:
    home, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(home), attribute)

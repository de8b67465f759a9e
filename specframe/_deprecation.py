"""What is on its way out, until which release, and what takes its place."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import attrs


@attrs.frozen
class Deprecation:
    """Name something that goes, the release that takes it away, and what to use instead.

    ``old`` and ``new`` are what people write: "specframe.Drafter", "specframe.load(model_name=)".
    ``removed_in`` is a version such as "0.3.0". A test fails when that release is reached and the
    old thing is still there.
    """

    old: str
    new: str
    since: str
    removed_in: str

    def __str__(self) -> str:
        return (
            f"{self.old} is deprecated since {self.since} and goes in {self.removed_in}: "
            f"use {self.new}"
        )

    def warn(self, stacklevel: int = 2) -> None:
        """Warn whoever is ``stacklevel`` calls above."""
        warnings.warn(str(self), DeprecationWarning, stacklevel=stacklevel + 1)

    def call(self, *arguments: object) -> object:
        """Warn whoever called a method that is on its way out, and call the function instead."""
        self.warn(stacklevel=3)
        return _found(self.new.removesuffix("()"))(*arguments)


# All of them, by `old`. Modules go on answering to the names among them through `renamed`; what
# is no name (an argument, a method, a value) is taken as before where it was, which says
# `DEPRECATED["specframe.load(model_name=)"].warn()`.
_ALL = (
    Deprecation("specframe.Draft.check()", "specframe.check_draft()", "0.1.0", "0.2.0"),
    Deprecation("specframe.Rows.leave()", "specframe.leave()", "0.1.0", "0.2.0"),
)
DEPRECATED: dict[str, Deprecation] = {each.old: each for each in _ALL}


def renamed(module: str, name: str) -> object:
    """Return what a module's old name stands for now, with a warning to whoever asked the module.

    Raises AttributeError where it never was a name. For a module's ``__getattr__``.
    """
    deprecation = DEPRECATED.get(f"{module}.{name}")
    if deprecation is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    deprecation.warn(stacklevel=3)
    return _found(deprecation.new)


def _found(name: str) -> Any:
    home, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(home), attribute)

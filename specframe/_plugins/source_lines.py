"""Where in a plug-in's own code something was written, or went wrong."""

from __future__ import annotations

import inspect
import linecache
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from specframe._plugins.plugin_info import PluginInfo


CORE = "specframe"


def line_in(error: BaseException, package: str) -> str:
    """Return "file:line" of the innermost code of ``package`` that the core ran and that raised.

    Empty if there is none: the code that called the core is not at fault.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = frames_in(error, package)
    if not frames:
        return ""
    frame, number = frames[-1]
    return f"{frame.f_code.co_filename}:{number}"


def frames_in(error: BaseException, *packages: str) -> list[tuple[FrameType, int]]:
    """Return the frames of ``packages`` that the core was running, with lines; innermost last."""
    frames = list(traceback.walk_tb(error.__traceback__))
    owners = [package_of(frame) for frame, _ in frames]
    first = owners.index(CORE) if CORE in owners else len(frames)
    return [
        frame for frame, its in zip(frames[first:], owners[first:], strict=True) if its in packages
    ]


def raiser(error: BaseException, plugins: Sequence[PluginInfo]) -> PluginInfo | None:
    """Return the third-party plug-in whose code ran last when ``error`` was raised, or None."""
    others = {each.package: each for each in reversed(plugins) if not each.is_built_in}
    frames = frames_in(error, *others)
    return others[package_of(frames[-1][0])] if frames else None


def line_of(function: Any) -> str:
    """Return "file:line" where a function or method begins; empty if it is not in Python."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else ""


def line_of_class(cls: type) -> str:
    """Return "file:line" where a class begins, or its module if there is no source."""
    try:
        _, number = inspect.findsource(cls)
        return f"{inspect.getfile(cls)}:{number + 1}"
    except (OSError, TypeError):
        return cls.__module__


def line_of_name(module: Any, name: str) -> str:
    """Return "file:line" where a module assigns to ``name``, or the file alone."""
    file = getattr(module, "__file__", None) or ""
    for number, line in enumerate(linecache.getlines(file), start=1):
        if line.split("=")[0].split(":")[0].strip() == name:
            return f"{file}:{number}"
    return file


def calling_line(package: str) -> str:
    """Return "file:line" of the innermost call by ``package``; empty if there is none."""
    frame = inspect.currentframe()
    while frame is not None and package_of(frame) != package:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""


def package_of(frame: FrameType) -> str:
    """Return the top-level package whose code a frame runs."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]

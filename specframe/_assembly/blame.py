"""Whose fault an error is: the plug-in, the part, and the line of its own code.

What a part returns is checked where the core first uses it. The message names the part by object,
not by guess, so the part of a composition is named and not the composition. The line is the
innermost of the plug-in's own frames, or where the method begins that gave the answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from specframe._assembly.parts import Parts
from specframe._contracts.drafter import Drafter, SequenceDrafter
from specframe._contracts.stop_policy import StopPolicy
from specframe._engine.out_of_memory import ran_out_of_memory
from specframe._errors import PluginError, SpecframeError
from specframe._plugins.component import Component
from specframe._plugins.plugin_info import PluginInfo
from specframe._plugins.source_lines import CORE, frames_in, line_in, line_of, line_of_class, raiser
from specframe._words import cause


def blaming(parts: Parts) -> AbstractContextManager[None]:
    """Name the plug-in at fault in the errors that are raised inside."""
    return _raising(partial(blame, parts=parts))


def blaming_component(
    component: Component, passing: tuple[type[Exception], ...] = ()
) -> AbstractContextManager[None]:
    """Name the plug-in of a family adapter or trainer; errors of the kinds ``passing`` pass."""
    return _raising(partial(blame_component, component=component), passing)


@contextmanager
def _raising(
    named: Callable[[Exception], Exception], passing: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    try:
        yield
    except passing:
        raise
    except Exception as error:
        blamed = named(error)
        if blamed is error:
            raise
        raise blamed from error


def blame(error: Exception, parts: Parts) -> Exception:
    """Return an error that names the plug-in at fault, or the error itself if no plug-in is.

    A fault that the core found belongs to the part that it names. Any other exception belongs to
    the third-party plug-in in whose code it was raised.
    """
    if isinstance(error, PluginError):
        return error if error.is_named else _broken_contract(error, parts)
    if isinstance(error, SpecframeError):
        return error
    plugin = raiser(error, parts.registry.plugins)
    if plugin is None:
        return error
    its = _running(error, plugin, parts)
    where = f" in {its.kind} '{its.name}'" if its else ""
    return plugin.fault(f"raised{where} at {line_in(error, plugin.package)}: {cause(error)}")


def blame_component(error: Exception, component: Component) -> Exception:
    """Return an error that names a family adapter or a trainer at fault, or the error itself."""
    plugin, what = component.plugin, f"{component.kind} '{component.name}'"
    is_unnamed = isinstance(error, PluginError) and not error.is_named
    raised = error.__cause__ if is_unnamed and error.__cause__ else error
    is_its_own = is_unnamed or not isinstance(error, SpecframeError)
    at = "" if plugin.is_built_in else line_in(raised, component.package)
    if at and is_its_own and not (isinstance(raised, Exception) and ran_out_of_memory(raised)):
        return plugin.fault(f"raised in {what} at {at}: {cause(raised)}")
    if isinstance(error, PluginError) and is_unnamed and error.part is not None:
        return plugin.fault(f"broke its contract in {what}: {error}{_by(error, error.part)}")
    return error


def _running(error: Exception, plugin: PluginInfo, parts: Parts) -> Component | None:
    """Return the part of a plug-in in whose code an error was raised; None if it cannot be told.

    That is the innermost part whose method was running, or else code of whose module was.
    """
    its = [(component, made) for component, made in _made(parts) if _is_of(component, plugin)]
    for frame, _ in reversed(frames_in(error, plugin.package)):
        caller, module = frame.f_locals.get("self"), frame.f_globals.get("__name__")
        found = [component for component, made in its if caller is not None and made is caller]
        found = found or [one for one, _ in its if one is not None and one.module == module]
        if len(found) == 1:
            return found[0]
    return None


def _is_of(component: Component | None, plugin: PluginInfo) -> bool:
    return component is not None and component.plugin == plugin


def _broken_contract(error: PluginError, parts: Parts) -> PluginError:
    """Say whose fault the core found, and which line gave the wrong answer."""
    part = _part(error, parts)
    line = f"{error}{_by(error, part)}"
    for component, made in _made(parts):
        if made is part and component is not None:
            what = f"{component.kind} '{component.name}'"
            return component.plugin.fault(f"broke its contract in {what}: {line}")
    what = f"{_kind(part)} {type(part).__name__}"
    plugin = _plugin_of(part, parts)
    if plugin is not None:
        return plugin.fault(f"broke its contract in {what}: {line}")
    return PluginError(f"{what}: {line}", part=part, is_named=True)


def _by(error: PluginError, part: object) -> str:
    """Return, in brackets, the line of the part's code that raised, or else that answered."""
    package = type(part).__module__.partition(".")[0]
    at = "" if package == CORE or error.method else line_in(error, package)
    if at:
        return f" (at {at})"
    name = type(part).__name__
    method = _answering(part) if error.method is None else error.method
    function = getattr(type(part), method, None) if method else None
    if function is None or function.__module__.startswith(f"{CORE}."):
        return f" (declared by {name}, {line_of_class(type(part))})"
    return f" (returned by {name}.{method}, {line_of(function)})"


def _part(error: PluginError, parts: Parts) -> Any:
    if error.part is not None:
        return error.part
    named = parts.verifier.named
    if error.kind == "verifier" and named is not None:
        return named.verifier
    return parts.stop_policy if error.kind == "stop policy" else parts.drafter


def _kind(part: object) -> str:
    if isinstance(part, Drafter):
        return "drafter"
    return "stop policy" if isinstance(part, StopPolicy) else "verifier"


def _answering(part: object) -> str:
    """Return the method of a part that answers for most of its faults."""
    if isinstance(part, SequenceDrafter):
        return "guess"
    return {"drafter": "propose", "stop policy": "limit", "verifier": "verify"}[_kind(part)]


def _made(parts: Parts) -> list[tuple[Component | None, object]]:
    """Return the registered parts, each with the object made from it."""
    named = parts.verifier.named
    return [
        (parts.drafter_component, parts.drafter),
        (named.component if named else None, named.verifier if named else None),
        (parts.stop.component, parts.stop.made),
    ]


def _plugin_of(part: object, parts: Parts) -> PluginInfo | None:
    """Return the plug-in whose package has a part's class: of a composition, say."""
    package = inspect.getmodule(type(part))
    name = package.__name__.partition(".")[0] if package else ""
    return next((each for each in parts.registry.plugins if each.package == name), None)

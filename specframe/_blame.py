"""Whose fault an error is: the plug-in, the part, and the line of its own code."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from specframe._drafter import Drafter, SequenceDrafter
from specframe._errors import PluginError, SpecframeError
from specframe._registry import cause
from specframe._stop_policy import StopPolicy
from specframe._where import CORE, line_in, line_of, line_of_class

if TYPE_CHECKING:
    from specframe._assembly import Parts
    from specframe._component import Component, PluginInfo


def blame(error: Exception, parts: Parts) -> Exception:
    """Return an error that names the plug-in at fault, or the error itself where it is none's.

    What the core found wrong is the fault of the part that it says; any other exception is that of
    the third-party plug-in in whose code it was raised.
    """
    if isinstance(error, PluginError):
        return error if error.is_named else _broken_contract(error, parts)
    if isinstance(error, SpecframeError):
        return error
    for plugin in parts.registry.plugins:
        at = "" if plugin.is_built_in else line_in(error, plugin.package)
        if at:
            known = [each for each in _components(parts) if each.plugin == plugin]
            raised = f"raised in {known[0].kind} '{known[0].name}'" if known else "raised"
            return plugin.fault(f"{raised} at {at}: {cause(error)}")
    return error


def _broken_contract(error: PluginError, parts: Parts) -> PluginError:
    """Say of a fault that the core found whose it is, and which of its lines gave the answer."""
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
    """Return the line of the part's code that raised, or else that answered, in brackets."""
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
    named = parts.named_verifier
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


def _components(parts: Parts) -> list[Component]:
    return [component for component, _ in _made(parts) if component is not None]


def _made(parts: Parts) -> list[tuple[Component | None, object]]:
    """Return the registered parts, with what was made of them."""
    named = parts.named_verifier
    return [
        (parts.drafter_component, parts.drafter),
        (named.component if named else None, named.verifier if named else None),
        (parts.stop_component, parts.made_stop),
    ]


def _plugin_of(part: object, parts: Parts) -> PluginInfo | None:
    """Return the plug-in whose package a part's class stands in: of a composition, say."""
    package = inspect.getmodule(type(part))
    name = package.__name__.partition(".")[0] if package else ""
    return next((each for each in parts.registry.plugins if each.package == name), None)

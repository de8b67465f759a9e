"""What an entry module must be: written for this API, with hooks that exist and are marked."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import pluggy

from specframe._plugins import hooks
from specframe._plugins.source_lines import line_of, line_of_name
from specframe._words import suggestion

if TYPE_CHECKING:
    from specframe._plugins.plugin_info import PluginInfo

API = "specframe_api"  # a module's name for the version that it was written for


def admitted(module: Any, plugin: PluginInfo) -> pluggy.PluginManager:
    """Return a manager that holds this plug-in alone; raises PluginError."""
    _refuse_other_api(module, plugin)
    manager = pluggy.PluginManager(hooks.GROUP)
    manager.add_hookspecs(hooks)
    try:
        manager.register(module, name=plugin.name)
    except pluggy.PluginValidationError as error:
        what = " ".join(str(error).split())
        raise plugin.fault(
            f"declares a hook wrongly: {what}", at=_named_in(what, module)
        ) from error
    callers = manager.get_hookcallers(module) or []
    known = sorted(name for name in vars(hooks) if name.startswith("specframe_"))
    for caller in callers:
        implemented = caller.get_hookimpls()
        if not caller.has_spec() and not all(hook.optionalhook for hook in implemented):
            raise plugin.fault(
                f"implements hook '{caller.name}', which does not exist"
                f"{suggestion(caller.name, known)} Hooks: {', '.join(known)}",
                at=line_of(implemented[0].function),
            )
    _refuse_unmarked(module, plugin, {caller.name for caller in callers})
    return manager


def hooks_of(manager: pluggy.PluginManager) -> list[str]:
    """Return the hooks that the plug-in in ``manager`` implements."""
    return sorted(
        caller.name
        for plugin in manager.get_plugins()
        for caller in manager.get_hookcallers(plugin) or []
    )


def _refuse_other_api(module: Any, plugin: PluginInfo) -> None:
    """Raise PluginError if the module was written for an API that this one does not serve.

    Served are the same major version with the same or an older minor one. A module that names no
    version counts as written for this one.
    """
    wanted = getattr(module, API, hooks.API_VERSION)
    at = line_of_name(module, API)
    if not isinstance(wanted, str) or not re.fullmatch(r"\d+\.\d+", wanted):
        raise plugin.fault(
            f'must say {API} = "MAJOR.MINOR", such as "{hooks.API_VERSION}", got {wanted!r}', at=at
        )
    theirs, ours = (tuple(map(int, each.split("."))) for each in (wanted, hooks.API_VERSION))
    if theirs > ours:
        way_out = f"upgrade specframe, or install an older {plugin.distribution}"
    elif theirs[0] < ours[0]:
        way_out = f"upgrade {plugin.distribution}, or install an older specframe"
    else:
        return
    raise plugin.fault(
        f"was written for plug-in API {wanted}, and this specframe has {hooks.API_VERSION}: "
        f"{way_out}",
        at=at,
    )


def _named_in(message: str, module: Any) -> str:
    """Return the line of the function that pluggy's message names."""
    for name, value in inspect.getmembers_static(module):
        if inspect.isfunction(value) and f"{name}(" in message:
            return line_of(value)
    return ""


def _refuse_unmarked(module: Any, plugin: PluginInfo, marked: set[str]) -> None:
    for name, value in inspect.getmembers_static(module):  # an object need not have a __dict__
        if name.startswith("specframe_") and inspect.isfunction(value) and name not in marked:
            raise plugin.fault(
                f"has a function {name} that is not marked with @hookimpl", at=line_of(value)
            )
    if not marked:
        raise plugin.fault(
            f"has no hook: mark a function in {plugin.module} with @hookimpl",
            at=getattr(module, "__file__", None) or "",
        )

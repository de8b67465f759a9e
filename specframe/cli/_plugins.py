"""``specframe plugins``: what is installed, and what each registers, without importing torch."""

from __future__ import annotations

import json as json_format
import traceback
from typing import TYPE_CHECKING, Annotated, Any

import typer

from specframe._debug import is_debugging
from specframe._plugins.discovery import load_plugins
from specframe._plugins.hooks import API_VERSION
from specframe._plugins.options import describe_options
from specframe.cli._display import say
from specframe.cli._strategies import Cells, print_table

if TYPE_CHECKING:
    from specframe._plugins.component import Component
    from specframe._plugins.discovery import Plugins
    from specframe._plugins.plugin_info import PluginInfo
    from specframe._plugins.registry import Registry


def plugins(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="list those that were not loaded, too, and why")
    ] = False,
    hooks: Annotated[
        bool, typer.Option("--hooks", help="list the hooks that each implements")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="print one JSON object with all of it")
    ] = False,
) -> None:
    """List the plug-ins and what each registers; broken ones with their cause."""
    found = load_plugins()
    if json:
        say(json_format.dumps(as_dict(found), indent=2))
        return
    header, rows = table(found, with_hooks=hooks)
    if everything:
        rows += [
            (*row_of(left.plugin), "not loaded", *([""] if hooks else []))
            for left in found.registry.left_out
        ]
    print_table(header, rows)
    tell_faults(found.registry, everything=everything)


def table(found: Plugins, *, with_hooks: bool) -> tuple[Cells, list[Cells]]:
    """Return the loaded plug-ins as a table: its header and its rows."""
    header: Cells = ("plug-in", "distribution", "version", "registers")
    rows: list[Cells] = [
        (*row_of(member.plugin), registered(found.registry, member.plugin))
        for member in found.members
    ]
    if not with_hooks:
        return header, rows
    implemented = [", ".join(member.hooks) for member in found.members]
    return (*header, "hooks"), [(*row, names) for row, names in zip(rows, implemented, strict=True)]


def row_of(plugin: PluginInfo) -> Cells:
    """Return a plug-in's name and origin."""
    return plugin.name, plugin.distribution, plugin.version


def tell_faults(registry: Registry, *, everything: bool) -> None:
    """Say what is broken or unwise, and with ``everything`` why plug-ins were not loaded."""
    for problem in registry.problems:
        if is_debugging():
            traceback.print_exception(problem)
        say(f"\nbroken: {problem}")
    for warning in registry.warnings:
        say(f"\nwarning: {warning}")
    told = {str(problem) for problem in registry.problems}
    for left in registry.left_out:
        if everything and left.reason not in told:
            say(f"\nnot loaded: {left.plugin}: {left.reason}")


def registered(registry: Registry, plugin: PluginInfo) -> str:
    """Return what a plug-in registered, as "drafter kangaroo, trainer kangaroo"."""
    named = [f"{component.kind} {component.label}" for component in components_of(registry, plugin)]
    return ", ".join([f"strategy {name}" for name in bundles_of(registry, plugin)] + named) or (
        "hooks only"
    )


def components_of(registry: Registry, plugin: PluginInfo) -> list[Component]:
    """Return what a plug-in registered, strategies apart."""
    return [
        component
        for table in registry.tables.values()
        for component in table.values()
        if component.plugin == plugin
    ]


def bundles_of(registry: Registry, plugin: PluginInfo) -> list[str]:
    """Return the names of the strategies that a plug-in registered as such."""
    return [name for name, strategy in registry.bundles.items() if strategy.plugin == plugin]


def as_dict(found: Plugins) -> dict[str, Any]:
    """Return everything about the plug-ins, for programs."""
    registry = found.registry
    loaded = [
        {
            **origin_of(member.plugin),
            "loaded": True,
            "reason": None,
            "hooks": member.hooks,
            "strategies": bundles_of(registry, member.plugin),
            "components": [described(each) for each in components_of(registry, member.plugin)],
        }
        for member in found.members
    ]
    left_out = [
        {**origin_of(left.plugin), "loaded": False, "reason": left.reason}
        for left in registry.left_out
    ]
    return {
        "schema": 1,
        "api": API_VERSION,
        "plugins": loaded + left_out,
        "problems": [str(problem) for problem in registry.problems],
        "warnings": registry.warnings,
    }


def origin_of(plugin: PluginInfo) -> dict[str, Any]:
    """Return where a plug-in comes from."""
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "module": plugin.module,
        "built_in": plugin.is_built_in,
    }


def described(component: Component) -> dict[str, Any]:
    """Return what a component registered with."""
    return {
        "kind": component.kind,
        "name": component.name,
        "implementation": component.implementation,
        "summary": component.summary,
        "lossy": component.lossy,
        "options": [option.name for option in describe_options(component.options)],
        "registered_at": component.where,
    }

"""Discovery: entry points of the group ``specframe`` -> a Registry, one message per fault.

Each plug-in is validated in its own plug-in manager, so that every fault has an owner. It registers
into its own registry, so that a broken plug-in leaves nothing in ours.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from importlib import metadata
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from specframe._errors import PluginError
from specframe._plugins import hooks
from specframe._plugins.admission import admitted, hooks_of
from specframe._plugins.component import KINDS, Kind
from specframe._plugins.plugin_info import PluginInfo
from specframe._plugins.registry import LeftOut, Registry, refuse_clash
from specframe._plugins.source_lines import line_in
from specframe._words import cause, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from specframe._results.result import Result
    from specframe._round.round import Round

SELECTION = "SPECFRAME_PLUGINS"
_HOOK_OF_KIND: dict[Kind, str] = {
    "drafter": "specframe_register_drafters",
    "verifier": "specframe_register_verifiers",
    "stop policy": "specframe_register_stop_policies",
    "family": "specframe_register_families",
    "trainer": "specframe_register_trainers",
}


@attrs.frozen
class Member:
    """One healthy plug-in with its own manager: a call reaches this plug-in alone."""

    plugin: PluginInfo
    manager: pluggy.PluginManager

    def call(self, hook: str, **arguments: object) -> None:
        """Call the plug-in's implementation of ``hook``; raises PluginError if it raises."""
        try:
            getattr(self.manager.hook, hook)(**arguments)
        except PluginError:
            raise
        except (Exception, SystemExit) as error:
            at = line_in(error, self.plugin.package)
            raise self.plugin.fault(f"failed in {hook}: {cause(error)}", at=at) from error

    def implements(self, hook: str) -> bool:
        """Say whether the plug-in has an implementation of ``hook``."""
        return hook in self.hooks

    @property
    def hooks(self) -> list[str]:
        """Return the hooks that the plug-in implements."""
        return hooks_of(self.manager)


@attrs.define
class Plugins:
    """Own the healthy plug-ins of this process; ``registry`` is what they registered.

    An observer that raised is dropped from ``observers`` and noted in ``registry.problems``.
    """

    registry: Registry = attrs.Factory(Registry)
    members: list[Member] = attrs.Factory(list)
    observers: dict[str, list[Member]] = attrs.Factory(
        lambda: {"specframe_round": [], "specframe_decode_finished": []}
    )

    def add(self, member: Member, staged: Registry) -> None:
        """Add a plug-in with all that it registered; raises ValueError for a name that is taken."""
        held = self.registry
        refuse_clash("strategy", held.strategies, staged.strategies)
        for kind in KINDS:
            refuse_clash(kind, held.tables[kind], staged.tables[kind])
        for kind in KINDS:
            held.tables[kind].update(staged.tables[kind])
        held.bundles.update(staged.bundles)
        held.plugins.append(member.plugin)
        self.members.append(member)
        for hook, members in self.observers.items():
            if member.implements(hook):
                members.append(member)

    def observe_round(self, round: Round) -> None:
        """Show a committed round to the observers; one that raises is dropped, with a warning."""
        self._notify("specframe_round", round=round)

    def observe_finished(self, result: Result) -> None:
        """Show a finished decode to the observers, in the same way."""
        self._notify("specframe_decode_finished", result=result)

    def _notify(self, hook: str, **arguments: object) -> None:
        for member in tuple(self.observers[hook]):
            try:
                member.call(hook, **arguments)
            except PluginError as problem:
                self.observers[hook].remove(member)
                self.registry.problems.append(problem)
                warnings.warn(str(problem), RuntimeWarning, stacklevel=3)


def load_registry() -> Registry:
    """Return what all plug-ins registered; discovered once per value of SPECFRAME_PLUGINS."""
    return load_plugins().registry


def load_plugins() -> Plugins:
    """Return the plug-ins themselves, for observers and commands; cached as the registry is."""
    return _discover_once(os.environ.get(SELECTION))


@functools.cache
def _discover_once(selection: str | None) -> Plugins:
    return discover(selection)


def discover(selection: str | None = None) -> Plugins:
    """Load all built-ins and the third-party plug-ins that ``selection`` names ("a,b").

    ``None`` selects every third-party plug-in, an empty string none. Raises nothing: faults are
    collected in ``registry.problems``.
    """
    plugins = Plugins()
    found = metadata.entry_points(group=hooks.GROUP)
    for entry_point in _selected(found, selection, plugins.registry):
        try:
            _load(entry_point, plugins)
        except PluginError as problem:
            plugins.registry.problems.append(problem)
            plugins.registry.left_out.append(LeftOut(_info(entry_point), str(problem)))
    _drop_incomplete_strategies(plugins.registry)
    return plugins


def _selected(
    found: Iterable[metadata.EntryPoint], selection: str | None, registry: Registry
) -> list[metadata.EntryPoint]:
    """Return built-ins first: they own their names, whatever else is installed."""
    ordered = sorted(found, key=lambda entry: (not _info(entry).is_built_in, entry.name))
    if not ordered or not _info(ordered[0]).is_built_in:
        registry.problems.append(
            PluginError("specframe is not installed: its own plug-ins are missing. Install it.")
        )
    if selection is None:
        return ordered
    names = {name.strip() for name in selection.split(",")} - {""}
    third_party = sorted(entry.name for entry in ordered if not _info(entry).is_built_in)
    for name in sorted(names.difference(third_party)):
        registry.problems.append(
            PluginError(
                f"{SELECTION} names '{name}', which is not installed"
                f"{suggestion(name, third_party)} Third-party plug-ins: "
                f"{', '.join(third_party) or 'none'}."
            )
        )
    chosen = [entry for entry in ordered if _info(entry).is_built_in or entry.name in names]
    registry.left_out += [
        LeftOut(_info(entry), f"{SELECTION} does not name it")
        for entry in ordered
        if entry not in chosen
    ]
    return chosen


def _info(entry_point: metadata.EntryPoint) -> PluginInfo:
    distribution = entry_point.dist
    return PluginInfo(
        name=entry_point.name,
        distribution=distribution.name if distribution else "unknown",
        version=distribution.version if distribution else "unknown",
        module=entry_point.module,
    )


def _load(entry_point: metadata.EntryPoint, plugins: Plugins) -> None:
    plugin = _info(entry_point)
    torch_was_there = "torch" in sys.modules
    module = _import(entry_point, plugin)
    if not torch_was_there and "torch" in sys.modules:
        plugins.registry.warnings.append(
            f"{plugin} imports torch in {plugin.module}, which slows every command down: "
            'name implementations as "module:attribute" instead of importing them.'
        )
    member = Member(plugin, admitted(module, plugin))
    staged = Registry()
    for kind, hook in _HOOK_OF_KIND.items():
        member.call(hook, register=staged.registrar(kind, plugin))
    member.call("specframe_register_strategies", register=staged.strategy_registrar(plugin))
    try:
        plugins.add(member, staged)
    except ValueError as error:
        raise plugin.fault(f"is left out: {error}") from error


def _import(entry_point: metadata.EntryPoint, plugin: PluginInfo) -> Any:
    try:
        return entry_point.load()
    except (Exception, SystemExit) as error:
        at = line_in(error, plugin.package)
        raise plugin.fault(f"cannot be imported: {cause(error)}", at=at) from error


def _drop_incomplete_strategies(registry: Registry) -> None:
    """Remove strategies with parts that are not registered, and say what is missing."""
    for strategy in tuple(registry.bundles.values()):
        parts: list[tuple[Kind, str | None]] = [
            ("drafter", strategy.drafter),
            ("stop policy", strategy.stop_policy),
            ("verifier", strategy.verifier),
        ]
        missing = [
            f"{kind} '{name}'" for kind, name in parts if name and name not in registry.tables[kind]
        ]
        if missing and strategy.plugin:
            del registry.bundles[strategy.name]
            registry.problems.append(
                strategy.plugin.fault(
                    f"registers strategy '{strategy.name}' with {' and '.join(missing)}, "
                    "which nothing registers",
                    at=strategy.where,
                )
            )

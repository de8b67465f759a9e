"""What plug-ins registered: components by name, strategies, and faults of broken plug-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from specframe._errors import PluginError, UnknownNameError
from specframe._plugins.component import KINDS, Component, Kind, Strategy
from specframe._plugins.plugin_info import PluginInfo
from specframe._plugins.source_lines import calling_line
from specframe._words import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from specframe._plugins.hooks import RegisterComponent, RegisterStrategy


@attrs.frozen
class LeftOut:
    """Name a plug-in that is installed and was not loaded, and say why."""

    plugin: PluginInfo
    reason: str


@attrs.define
class Registry:
    """Hold everything that plug-ins registered; the loader (or a test) fills it, others read.

    ``tables`` maps kind ("drafter", "verifier", "stop policy", "family", "trainer") and name to
    components. ``bundles`` maps names to the strategies registered as such; ``strategies`` also has
    the drafters without one. ``problems`` are the faults of plug-ins, ``warnings`` what is only
    unwise. ``left_out`` are the installed plug-ins that are not loaded, also those not asked for.
    """

    plugins: list[PluginInfo] = attrs.Factory(list)
    tables: dict[Kind, dict[str, Component]] = attrs.Factory(lambda: {kind: {} for kind in KINDS})
    bundles: dict[str, Strategy] = attrs.Factory(dict)
    problems: list[PluginError] = attrs.Factory(list)
    warnings: list[str] = attrs.Factory(list)
    left_out: list[LeftOut] = attrs.Factory(list)

    @property
    def drafters(self) -> dict[str, Component]:
        """Return the drafters by name."""
        return self.tables["drafter"]

    @property
    def verifiers(self) -> dict[str, Component]:
        """Return the verifiers by name."""
        return self.tables["verifier"]

    @property
    def stop_policies(self) -> dict[str, Component]:
        """Return the stop policies by name."""
        return self.tables["stop policy"]

    @property
    def families(self) -> dict[str, Component]:
        """Return the family adapters by ``model_type``."""
        return self.tables["family"]

    @property
    def trainers(self) -> dict[str, Component]:
        """Return the trainers by name."""
        return self.tables["trainer"]

    @property
    def strategies(self) -> dict[str, Strategy]:
        """Return all strategies by name; a drafter without one is a strategy of its own name."""
        alone = {
            name: Strategy(name, name, summary=one.summary, plugin=one.plugin, where=one.where)
            for name, one in self.drafters.items()
        }
        return alone | self.bundles

    def drafter(self, name: str) -> Component:
        """Return a drafter; raises UnknownNameError."""
        return self._find("drafter", name)

    def verifier(self, name: str) -> Component:
        """Return a verifier; raises UnknownNameError."""
        return self._find("verifier", name)

    def stop_policy(self, name: str) -> Component:
        """Return a stop policy; raises UnknownNameError."""
        return self._find("stop policy", name)

    def family(self, name: str) -> Component:
        """Return the family adapter of a ``model_type``; raises UnknownNameError."""
        return self._find("family", name)

    def trainer(self, name: str) -> Component:
        """Return a trainer; raises UnknownNameError."""
        return self._find("trainer", name)

    def strategy(self, name: str) -> Strategy:
        """Return a strategy; raises UnknownNameError."""
        strategies = self.strategies
        if name not in strategies:
            raise self._unknown("strategy", name, strategies)
        return strategies[name]

    def strategy_options(self, strategy: Strategy) -> type | None:
        """Return the options class of a strategy's drafter, None for no options.

        Raises UnknownNameError if nobody registered the drafter.
        """
        return self.drafter(strategy.drafter).options

    def registrar(self, kind: Kind, plugin: PluginInfo) -> RegisterComponent:
        """Return the ``register`` callable for the hook of ``kind``; it raises ValueError."""

        def register(
            name: str,
            implementation: str,
            *,
            options: type | None = None,
            summary: str = "",
            lossy: bool = False,
        ) -> None:
            component = Component(
                kind,
                name,
                implementation,
                options=options,
                summary=summary,
                lossy=lossy,
                plugin=plugin,
                where=calling_line(plugin.package),
            )
            table = self.tables[kind]
            refuse_clash(kind, table, {name: component})
            table[name] = component

        return register

    def strategy_registrar(self, plugin: PluginInfo) -> RegisterStrategy:
        """Return the ``register`` callable for strategies; it raises ValueError."""

        def register(strategy: Strategy) -> None:
            if not isinstance(strategy, Strategy):
                raise ValueError(f"register takes a specframe.Strategy, got {strategy!r}")
            where = calling_line(plugin.package)
            owned = {strategy.name: attrs.evolve(strategy, plugin=plugin, where=where)}
            refuse_clash("strategy", self.bundles, owned)
            self.bundles.update(owned)

        return register

    def _find(self, kind: Kind, name: str) -> Component:
        table = self.tables[kind]
        if name not in table:
            raise self._unknown(kind, name, table)
        return table[name]

    def _unknown(self, kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
        known = sorted(known)
        return UnknownNameError(
            f"unknown {kind} '{name}'{suggestion(name, known)} "
            f"Available: {', '.join(known) or 'nothing'}.",
            tuple(map(str, self.problems)),
        )


def refuse_clash(
    kind: str,
    held: dict[str, Component] | dict[str, Strategy],
    new: dict[str, Component] | dict[str, Strategy],
) -> None:
    """Raise ValueError, naming both owners, if a name in ``new`` is already held."""
    for name in new:
        if name in held:
            where = f" (at {new[name].where})" if new[name].where else ""
            raise ValueError(
                f"{kind} '{name}' of {new[name].plugin} is already registered "
                f"by {held[name].plugin}{where}"
            )

"""What plug-ins registered: components by name, strategies, and the faults of broken plug-ins."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any, Literal, get_args

import attrs

from specframe import _defaults
from specframe._errors import PluginError, SpecframeError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from specframe._hooks import RegisterComponent, RegisterStrategy

Kind = Literal["drafter", "verifier", "stop policy", "family", "trainer"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@attrs.frozen
class PluginInfo:
    """Name a plug-in and where it came from."""

    name: str
    distribution: str
    version: str
    module: str

    @property
    def is_built_in(self) -> bool:
        """Say whether it is part of specframe itself."""
        return self.distribution == "specframe"

    def __str__(self) -> str:
        """Name it as every message does."""
        return f"plug-in '{self.name}' ({self.distribution} {self.version})"

    def fault(self, what: str) -> PluginError:
        """Return the one message about a fault: who, what, and how to go on."""
        way_out = (
            "It is part of specframe: reinstall specframe"
            if self.is_built_in
            else f"To go on without it, uninstall {self.distribution}, or name the plug-ins that "
            "you do want in SPECFRAME_PLUGINS (empty: none)"
        )
        return PluginError(f"{self} {what}. {way_out}.")


def _is_import_string(_: object, _attribute: object, value: Any) -> None:
    module, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not (module and name):
        raise ValueError(f"an implementation is named 'module:attribute', got {value!r}")


def _is_name(_: object, _attribute: object, value: Any) -> None:
    if not isinstance(value, str) or not value or value != value.strip() or "=" in value:
        raise ValueError(f"a name is a plain non-empty string, got {value!r}")


def _is_options_class(_: object, _attribute: object, value: Any) -> None:
    if value is not None and not (isinstance(value, type) and attrs.has(value)):
        raise ValueError(f"options must be an attrs class, got {value!r}")


@attrs.frozen
class Component:
    """One registered implementation; nothing of it is imported before ``load``."""

    kind: Kind
    name: str = attrs.field(validator=_is_name)
    implementation: str = attrs.field(validator=_is_import_string)
    options: type | None = attrs.field(default=None, validator=_is_options_class, kw_only=True)
    summary: str = attrs.field(default="", kw_only=True)
    lossy: bool = attrs.field(default=False, kw_only=True)
    plugin: PluginInfo = attrs.field(kw_only=True)

    @property
    def label(self) -> str:
        """Return the name as listings show it."""
        return f"{self.name} (LOSSY)" if self.lossy else self.name

    def load(self) -> Any:
        """Import the implementation and return it: a class, or a trainer's function.

        Raises PluginError when it cannot be imported.
        """
        module, _, path = self.implementation.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
        except Exception as error:
            raise self._fault("load", error) from error
        return found

    def build(self, options: object | None = None) -> Any:
        """Build the component: ``implementation(options)`` if it has an options class.

        ``options=None`` means its defaults. Raises PluginError when the constructor fails with
        anything but an error of specframe's.
        """
        implementation = self.load()
        try:
            if self.options is None:
                return implementation()
            return implementation(self.options() if options is None else options)
        except SpecframeError:
            raise
        except Exception as error:
            raise self._fault("build", error) from error

    def _fault(self, verb: str, error: Exception) -> PluginError:
        return self.plugin.fault(
            f"cannot {verb} {self.kind} '{self.name}' ({self.implementation}): {cause(error)}"
        )


@attrs.frozen
class Strategy:
    """A named bundle of parts, each given by its registered name.

    ``verifier=None`` leaves the choice to the way of sampling. ``plugin`` is filled in when the
    strategy is registered.
    """

    name: str = attrs.field(validator=_is_name)
    drafter: str = attrs.field(validator=_is_name)
    stop_policy: str = attrs.field(default=_defaults.STOP_POLICY, validator=_is_name, kw_only=True)
    verifier: str | None = attrs.field(default=None, kw_only=True)
    summary: str = attrs.field(default="", kw_only=True)
    plugin: PluginInfo | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)


@attrs.define
class Registry:
    """Hold everything that plug-ins registered; the loader (or a test) fills it, others read.

    ``tables`` maps kind and name to components, ``bundles`` holds the strategies registered as
    such; ``strategies`` has the drafters that stand for themselves as well. ``problems`` are the
    plug-ins that could not be loaded, ``warnings`` what is merely unwise.
    """

    plugins: list[PluginInfo] = attrs.Factory(list)
    tables: dict[Kind, dict[str, Component]] = attrs.Factory(lambda: {kind: {} for kind in KINDS})
    bundles: dict[str, Strategy] = attrs.Factory(dict)
    problems: list[PluginError] = attrs.Factory(list)
    warnings: list[str] = attrs.Factory(list)

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
        """Return all strategies by name, drafters that stand for themselves included."""
        alone = {
            name: Strategy(name, name, summary=drafter.summary, plugin=drafter.plugin)
            for name, drafter in self.drafters.items()
        }
        return alone | self.bundles

    def drafter(self, name: str) -> Component:
        """Return a drafter, or raise UnknownNameError."""
        return self._find("drafter", name)

    def verifier(self, name: str) -> Component:
        """Return a verifier, or raise UnknownNameError."""
        return self._find("verifier", name)

    def stop_policy(self, name: str) -> Component:
        """Return a stop policy, or raise UnknownNameError."""
        return self._find("stop policy", name)

    def family(self, name: str) -> Component:
        """Return the family adapter of a ``model_type``, or raise UnknownNameError."""
        return self._find("family", name)

    def trainer(self, name: str) -> Component:
        """Return a trainer, or raise UnknownNameError."""
        return self._find("trainer", name)

    def strategy(self, name: str) -> Strategy:
        """Return a strategy, or raise UnknownNameError."""
        strategies = self.strategies
        if name not in strategies:
            raise self._unknown("strategy", name, strategies)
        return strategies[name]

    def strategy_options(self, strategy: Strategy) -> type | None:
        """Return the options class of a strategy's drafter, or None if it takes no options."""
        return self.drafter(strategy.drafter).options

    def registrar(self, kind: Kind, plugin: PluginInfo) -> RegisterComponent:
        """Return the ``register`` callable that a hook for ``kind`` is handed."""

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
            )
            table = self.tables[kind]
            refuse_clash(kind, table, {name: component})
            table[name] = component

        return register

    def strategy_registrar(self, plugin: PluginInfo) -> RegisterStrategy:
        """Return the ``register`` callable that ``specframe_register_strategies`` is handed."""

        def register(strategy: Strategy) -> None:
            if not isinstance(strategy, Strategy):
                raise ValueError(f"register takes a specframe.Strategy, got {strategy!r}")
            owned = {strategy.name: attrs.evolve(strategy, plugin=plugin)}
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
        broken = "".join(f"\n{problem}" for problem in self.problems)
        return UnknownNameError(
            f"unknown {kind} '{name}'{suggestion(name, known)} "
            f"Available: {', '.join(known) or 'nothing'}.{broken}"
        )


def refuse_clash(
    kind: str,
    held: dict[str, Component] | dict[str, Strategy],
    new: dict[str, Component] | dict[str, Strategy],
) -> None:
    """Raise ValueError, naming both owners, when a name in ``new`` is already held."""
    for name in new:
        if name in held:
            raise ValueError(
                f"{kind} '{name}' of {new[name].plugin} is already registered "
                f"by {held[name].plugin}"
            )


def cause(error: BaseException) -> str:
    """Return an exception as one line: its type and message."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def suggestion(name: str, known: list[str]) -> str:
    """Return ": did you mean 'x'?" or a full stop, to follow an unknown name."""
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean '{near[0]}'?" if near else "."

"""What plug-ins register: components and strategies."""

from __future__ import annotations

import importlib
from typing import Any, Literal, get_args

import attrs

from specframe import _defaults
from specframe._errors import PluginError, SpecframeError
from specframe._plugins.option_faults import refuse_broken_options
from specframe._plugins.plugin_info import PluginInfo
from specframe._plugins.source_lines import line_in
from specframe._words import cause

Kind = Literal["drafter", "verifier", "stop policy", "family", "trainer"]
KINDS: tuple[Kind, ...] = get_args(Kind)


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
    if value is not None:
        refuse_broken_options(value)


@attrs.frozen
class Component:
    """One registered implementation; nothing of it is imported before ``load``.

    ``kind`` is drafter, verifier, stop policy, family or trainer. ``where`` is the line that
    registers it.
    """

    kind: Kind
    name: str = attrs.field(validator=_is_name)
    implementation: str = attrs.field(validator=_is_import_string)
    options: type | None = attrs.field(default=None, validator=_is_options_class, kw_only=True)
    summary: str = attrs.field(default="", kw_only=True)
    lossy: bool = attrs.field(default=False, kw_only=True)
    plugin: PluginInfo = attrs.field(kw_only=True)
    where: str = attrs.field(default="", kw_only=True, eq=False, repr=False)

    @property
    def label(self) -> str:
        """Return the name as listings show it: a lossy one is marked."""
        return f"{self.name} (LOSSY)" if self.lossy else self.name

    @property
    def module(self) -> str:
        """Return the module of its implementation."""
        return self.implementation.partition(":")[0]

    @property
    def package(self) -> str:
        """Return the top-level package of that module."""
        return self.module.partition(".")[0]

    def load(self) -> Any:
        """Import the implementation and return it: a class, or a trainer's function.

        Raises PluginError if it cannot be imported.
        """
        module, _, path = self.implementation.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
        except Exception as error:
            raise self._fault("cannot load", error) from error
        return found

    def build(self, options: object | None = None) -> Any:
        """Build the component: ``implementation(options)`` if it has an options class.

        ``options`` is an object of that class; None: its defaults. Raises PluginError if the
        implementation cannot be imported or its constructor fails, but lets the constructor's own
        SpecframeErrors pass.
        """
        implementation = self.load()
        try:
            if self.options is None:
                return implementation()
            return implementation(self.options() if options is None else options)
        except SpecframeError:
            raise
        except Exception as error:
            raise self._fault("cannot build", error) from error

    def _fault(self, what: str, error: Exception) -> PluginError:
        return self.fault(
            f"{what} {self.kind} '{self.name}' ({self.implementation}): {cause(error)}",
            at=line_in(error, self.package),
        )

    def fault(self, what: str, *, at: str = "") -> PluginError:
        """Return a PluginError about its fault; ``at`` is the line, else where it is registered."""
        return self.plugin.fault(what, at=at or self.where)


@attrs.frozen
class Strategy:
    """A named bundle of parts, each given by its registered name.

    ``verifier=None``: ``greedy`` at temperature 0, ``match`` above. ``summary`` is one line for
    listings. ``plugin`` and ``where``, the line, are filled in when it is registered. Raises
    ValueError for a name that is empty, or has blanks around it or "=" in it.
    """

    name: str = attrs.field(validator=_is_name)
    drafter: str = attrs.field(validator=_is_name)
    stop_policy: str = attrs.field(default=_defaults.STOP_POLICY, validator=_is_name, kw_only=True)
    verifier: str | None = attrs.field(default=None, kw_only=True)
    summary: str = attrs.field(default="", kw_only=True)
    plugin: PluginInfo | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    where: str = attrs.field(default="", kw_only=True, eq=False, repr=False)

"""The hooks: everything that a plug-in can do, on one screen.

A plug-in is a module named by an entry point of the group ``specframe``. It marks functions with
``hookimpl``; each is validated against the specification here. Entry modules must import fast and
must not import torch: they name their implementations as ``"module:attribute"``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import pluggy

if TYPE_CHECKING:
    import typer

    from specframe._plugins.component import Strategy
    from specframe._results.result import Result
    from specframe._round.round import Round

GROUP: Final = "specframe"
API_VERSION: Final = "1.0"
"""What plug-ins are written against: the minor part grows with what is added, the major part with
what is changed or taken away. A plug-in that says ``specframe_api = "1.0"`` is held to it."""
_spec = pluggy.HookspecMarker(GROUP)
hookimpl: Final = pluggy.HookimplMarker(GROUP)


class RegisterComponent(Protocol):
    """What a ``specframe_register_*`` hook is handed to name one component."""

    def __call__(
        self,
        name: str,
        implementation: str,
        *,
        options: type | None = None,
        summary: str = "",
        lossy: bool = False,
    ) -> None:
        """Register ``implementation`` ("module:attribute") under ``name``.

        With an ``options`` class (attrs) the component is built as ``implementation(options)``,
        without one as ``implementation()``. ``summary`` is one line for listings. ``lossy`` is for
        verifiers that promise nothing: listings say so beside their name.
        """


class RegisterStrategy(Protocol):
    """What ``specframe_register_strategies`` is handed to name one bundle."""

    def __call__(self, strategy: Strategy) -> None:
        """Register ``strategy`` under its own name."""


@_spec
def specframe_register_drafters(register: RegisterComponent) -> None:
    """Register drafters: subclasses of ``specframe.Drafter``.

    Called once, when the plug-ins are loaded. A drafter without a strategy of its name is also a
    strategy, with the default stop policy.
    """


@_spec
def specframe_register_verifiers(register: RegisterComponent) -> None:
    """Register verifiers: what decides which drafted tokens stay. Called once, at loading."""


@_spec
def specframe_register_stop_policies(register: RegisterComponent) -> None:
    """Register stop policies: when drafting further no longer pays. Called once, at loading."""


@_spec
def specframe_register_strategies(register: RegisterStrategy) -> None:
    """Register strategies: named bundles of drafter, stop policy and verifier.

    Called once, at loading. The parts are given by name and may come from other plug-ins.
    """


@_spec
def specframe_register_families(register: RegisterComponent) -> None:
    """Register family adapters under the ``model_type`` of a transformers config.

    Called once, at loading. An adapter is admitted by a probe each time it meets a model.
    """


@_spec
def specframe_register_trainers(register: RegisterComponent) -> None:
    """Register trainers: functions that ``specframe train NAME`` calls with a request.

    Called once, at loading. A trainer is called, not built: it is registered without options.
    """


@_spec
def specframe_register_commands(app: typer.Typer) -> None:
    """Add commands or sub-apps to the command line; called once per ``specframe`` process.

    A command that needs torch imports it when it runs, not when it is added.
    """


@_spec
def specframe_round(round: Round) -> None:
    """Watch a round after it was committed; called on the decoding thread, so be quick.

    An observer that raises is reported once, by name, and no longer called; decoding goes on.
    """


@_spec
def specframe_decode_finished(result: Result) -> None:
    """Watch a finished decode: called once per result, after the last round."""

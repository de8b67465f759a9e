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
"""The version that plug-ins are written for: additions raise the minor part, changes and removals
the major part. A plug-in that says ``specframe_api = "1.0"`` is held to it."""
_spec = pluggy.HookspecMarker(GROUP)
hookimpl: Final = pluggy.HookimplMarker(GROUP)


class RegisterComponent(Protocol):
    """The ``register`` that a ``specframe_register_*`` hook gets, to name one component."""

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
        verifiers whose guarantee is none: listings mark their names. Raises ValueError for a bad
        or taken name, a bad import string or options class: the plug-in is then left out.
        """


class RegisterStrategy(Protocol):
    """The ``register`` that ``specframe_register_strategies`` gets, to name one bundle."""

    def __call__(self, strategy: Strategy) -> None:
        """Register ``strategy`` under its own name.

        Raises ValueError for what is no Strategy, and for a taken name: the plug-in is left out.
        """


@_spec
def specframe_register_drafters(register: RegisterComponent) -> None:
    """Register drafters: subclasses of ``specframe.Drafter``.

    Called once, when the plug-ins are loaded. A drafter without a strategy of its name is also a
    strategy, with the default stop policy.
    """


@_spec
def specframe_register_verifiers(register: RegisterComponent) -> None:
    """Register verifiers, which decide what drafted tokens stay. Called once, at loading."""


@_spec
def specframe_register_stop_policies(register: RegisterComponent) -> None:
    """Register stop policies, which decide when drafting ends. Called once, at loading."""


@_spec
def specframe_register_strategies(register: RegisterStrategy) -> None:
    """Register strategies: named bundles of drafter, stop policy and verifier.

    Called once, at loading. The parts are given by name and may come from other plug-ins; a
    strategy with a part that is not registered is dropped, with a message.
    """


@_spec
def specframe_register_families(register: RegisterComponent) -> None:
    """Register family adapters under the ``model_type`` of a transformers config.

    Called once, at loading. An adapter is admitted by a probe each time it meets a model.
    """


@_spec
def specframe_register_trainers(register: RegisterComponent) -> None:
    """Register trainers: functions that ``specframe train NAME`` calls with a request.

    Called once, at loading. A trainer is called, not built: it is registered without options. It
    raises SpecframeErrors for people; any other exception is reported as the plug-in's fault.
    """


@_spec
def specframe_register_commands(app: typer.Typer) -> None:
    """Add commands or sub-apps to the command line; called once per ``specframe`` process.

    A command that needs torch imports it when it runs, not when it is added. It raises as a
    trainer does.
    """


@_spec
def specframe_round(round: Round) -> None:
    """Watch a round after it was committed; called on the decoding thread, so be quick.

    An observer that raises is reported once, by name, and no longer called; decoding continues.
    """


@_spec
def specframe_decode_finished(result: Result) -> None:
    """Watch a finished decode: called once per result, after the last round.

    An observer that raises is treated as in ``specframe_round``.
    """

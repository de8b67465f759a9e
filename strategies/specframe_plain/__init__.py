"""Plain decoding as a strategy: the yardstick runs in the same loop as everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import Strategy, hookimpl

if TYPE_CHECKING:
    from specframe import RegisterComponent, RegisterStrategy


@hookimpl
def specframe_register_drafters(register: RegisterComponent) -> None:
    """Register the drafter that proposes nothing."""
    register(
        "none", "specframe_plain._drafter:PlainDrafter", summary="propose nothing: plain decoding"
    )


@hookimpl
def specframe_register_strategies(register: RegisterStrategy) -> None:
    """Register plain decoding."""
    register(Strategy("none", "none", summary="plain decoding: one token a round"))

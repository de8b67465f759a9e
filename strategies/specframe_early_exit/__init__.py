"""LayerSkip's self-speculation (ACL 2024): the target's first layers, norm and head draft."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import Strategy, hookimpl
from specframe_early_exit._options import EarlyExitOptions

if TYPE_CHECKING:
    from specframe import RegisterComponent, RegisterStrategy

__all__ = ["EarlyExitOptions"]


@hookimpl
def specframe_register_drafters(register: RegisterComponent) -> None:
    """Register the drafter without weights of its own."""
    register(
        "early-exit",
        "specframe_early_exit._drafter:EarlyExitDrafter",
        options=EarlyExitOptions,
        summary="the target's own first layers, norm and head draft",
    )


@hookimpl
def specframe_register_strategies(register: RegisterStrategy) -> None:
    """Register the drafter with a policy that stops it when it is unsure."""
    register(
        Strategy(
            "early-exit",
            "early-exit",
            stop_policy="confidence",
            summary="LayerSkip: leave the model early to draft, continue from there to verify",
        )
    )

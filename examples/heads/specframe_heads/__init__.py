"""Trained heads that look ahead. This module is imported by every listing: no torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import Strategy, hookimpl
from specframe_heads._options import HeadsOptions

if TYPE_CHECKING:
    from specframe import RegisterComponent, RegisterStrategy

__all__ = ["HeadsOptions"]


@hookimpl
def specframe_register_drafters(register: RegisterComponent) -> None:
    """Register the self-drafter."""
    register(
        "heads",
        "specframe_heads._drafter:HeadsDrafter",
        options=HeadsOptions,
        summary="trained heads on the target's last hidden state guess the tokens ahead",
    )


@hookimpl
def specframe_register_strategies(register: RegisterStrategy) -> None:
    """Register the drafter with an early stop: far heads are often unsure."""
    register(
        Strategy(
            "heads",
            "heads",
            stop_policy="confidence",
            summary="heads on the target's last hidden state; stop when one is unsure",
        )
    )


@hookimpl
def specframe_register_trainers(register: RegisterComponent) -> None:
    """Register the training: ``specframe train heads``."""
    register("heads", "specframe_heads._training:train", summary="train heads for a model")

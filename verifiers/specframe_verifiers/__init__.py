"""The verifiers that come with specframe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import hookimpl

if TYPE_CHECKING:
    from specframe import RegisterComponent


@hookimpl
def specframe_register_verifiers(register: RegisterComponent) -> None:
    """Register ``greedy``."""
    register(
        "greedy",
        "specframe_verifiers._greedy:GreedyVerifier",
        summary="keep what the target's argmax would have produced (lossless)",
    )

"""Token Recycling. This module is imported by every listing, so it imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import hookimpl
from specframe_recycling._options import RecyclingOptions

if TYPE_CHECKING:
    from specframe import RegisterComponent

__all__ = ["RecyclingOptions"]

specframe_api = "1.0"


@hookimpl
def specframe_register_drafters(register: RegisterComponent) -> None:
    """Register the drafter, which is thereby a strategy, too."""
    register(
        "recycling",
        "specframe_recycling._drafter:RecyclingDrafter",
        options=RecyclingOptions,
        summary="a tree of what the target found likely behind each token before",
    )

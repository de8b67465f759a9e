"""A drafter in ten lines. This module is imported by every listing, so it imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import hookimpl

if TYPE_CHECKING:
    from specframe import RegisterComponent

specframe_api = "1.0"


@hookimpl
def specframe_register_drafters(register: RegisterComponent) -> None:
    """Register the drafter, which is thereby a strategy, too."""
    register(
        "last-time",
        "specframe_last_time._drafter:LastTime",
        summary="what followed the last two tokens last time follows again",
    )

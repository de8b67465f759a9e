"""Prompt lookup: what followed the last tokens before may follow them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import Strategy, hookimpl
from specframe_lookup._options import LookupOptions

if TYPE_CHECKING:
    from specframe import RegisterComponent, RegisterStrategy

__all__ = ["LookupOptions"]


@hookimpl
def specframe_register_drafters(register: RegisterComponent) -> None:
    """Register the drafter that copies."""
    register(
        "prompt-lookup",
        "specframe_lookup._drafter:LookupDrafter",
        options=LookupOptions,
        summary="copy what followed the last tokens before, in the text or in a reference",
    )


@hookimpl
def specframe_register_strategies(register: RegisterStrategy) -> None:
    """Register the drafter with the default stop policy."""
    register(
        Strategy(
            "prompt-lookup",
            "prompt-lookup",
            summary="prompt lookup and LLMA: draft from repeated n-grams, no second model",
        )
    )

"""A drafter with a distribution. This module is imported by every listing: no torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import hookimpl
from specframe_pairs._options import PairsOptions

if TYPE_CHECKING:
    from specframe import RegisterComponent

__all__ = ["PairsOptions"]

specframe_api = "1.0"


@hookimpl
def specframe_register_drafters(register: RegisterComponent) -> None:
    """Register the drafter, which is thereby a strategy, too."""
    register(
        "pairs",
        "specframe_pairs._drafter:PairsDrafter",
        options=PairsOptions,
        summary="draw from smoothed counts of what followed each token in the text",
    )

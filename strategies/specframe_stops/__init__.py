"""The stop policies that come with specframe: a fixed length, and Kangaroo's confidence rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import hookimpl
from specframe_stops._options import ConfidenceOptions, FixedOptions

if TYPE_CHECKING:
    from specframe import RegisterComponent

__all__ = ["ConfidenceOptions", "FixedOptions"]


@hookimpl
def specframe_register_stop_policies(register: RegisterComponent) -> None:
    """Register ``fixed`` and ``confidence``."""
    register(
        "fixed",
        "specframe_stops._policies:FixedPolicy",
        options=FixedOptions,
        summary="draft the same number of levels every round",
    )
    register(
        "confidence",
        "specframe_stops._policies:ConfidencePolicy",
        options=ConfidenceOptions,
        summary="stop drafting after a token that the drafter is unsure of",
    )

"""A lossy verifier. This module is imported by every listing, so it imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import hookimpl
from specframe_near._options import NearOptions

if TYPE_CHECKING:
    from specframe import RegisterComponent

__all__ = ["NearOptions"]

specframe_api = "1.0"


@hookimpl
def specframe_register_verifiers(register: RegisterComponent) -> None:
    """Register the verifier; ``lossy`` makes every listing say so beside its name."""
    register(
        "near",
        "specframe_near._verifier:NearVerifier",
        options=NearOptions,
        summary="keep what is nearly as likely as the likeliest (LOSSY: changes what is said)",
        lossy=True,
    )

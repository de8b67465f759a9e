"""The verifiers that come with specframe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import hookimpl
from specframe_verifiers._options import TypicalOptions

if TYPE_CHECKING:
    from specframe import RegisterComponent

__all__ = ["TypicalOptions"]


@hookimpl
def specframe_register_verifiers(register: RegisterComponent) -> None:
    """Register the verifiers, lossless ones first."""
    register(
        "greedy",
        "specframe_verifiers._match:GreedyVerifier",
        summary="keep what the target's argmax would have produced (lossless)",
    )
    register(
        "match",
        "specframe_verifiers._match:MatchVerifier",
        summary="keep what plain sampling with the same seed would have produced (lossless)",
    )
    register(
        "rejection",
        "specframe_verifiers._rejection:RejectionVerifier",
        summary="keep the target's distribution by rejection sampling (lossless in distribution)",
    )
    register(
        "typical",
        "specframe_verifiers._typical:TypicalVerifier",
        options=TypicalOptions,
        summary="keep what the target finds plausible (LOSSY: changes what the model says)",
        lossy=True,
    )

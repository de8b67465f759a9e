"""A stop policy. This module is imported by every listing, so it imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import hookimpl
from specframe_joint_confidence._options import JointConfidenceOptions

if TYPE_CHECKING:
    from specframe import RegisterComponent

__all__ = ["JointConfidenceOptions"]

specframe_api = "1.0"


@hookimpl
def specframe_register_stop_policies(register: RegisterComponent) -> None:
    """Register the stop policy."""
    register(
        "joint-confidence",
        "specframe_joint_confidence._policy:JointConfidence",
        options=JointConfidenceOptions,
        summary="stop drafting behind a token when the whole draft is unlikely to be right",
    )

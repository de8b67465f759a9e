"""A family adapter. This module is imported by every listing, so it imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import hookimpl

if TYPE_CHECKING:
    from specframe import RegisterComponent

specframe_api = "1.0"


@hookimpl
def specframe_register_families(register: RegisterComponent) -> None:
    """Register the family under the ``model_type`` of its configs."""
    register("starcoder2", "specframe_starcoder2._family:Starcoder2Family", summary="StarCoder2")

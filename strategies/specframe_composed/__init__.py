"""Strategies made of strategies: a cheap drafter first, another if it proposes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import Strategy, hookimpl
from specframe_composed._options import FirstOptions, LongestOptions

if TYPE_CHECKING:
    from specframe import RegisterComponent, RegisterStrategy

__all__ = ["FirstOptions", "LongestOptions"]


@hookimpl
def specframe_register_drafters(register: RegisterComponent) -> None:
    """Register the drafters that ask others."""
    register(
        "first",
        "specframe_composed._drafters:First",
        options=FirstOptions,
        summary="the first of several drafters that proposes something",
    )
    register(
        "longest",
        "specframe_composed._drafters:Longest",
        options=LongestOptions,
        summary="the longest proposal of several drafters",
    )


@hookimpl
def specframe_register_strategies(register: RegisterStrategy) -> None:
    """Register ``first`` with Kangaroo's policy; ``longest`` needs no strategy of its own."""
    register(
        Strategy(
            "first",
            "first",
            stop_policy="confidence",
            summary="prompt lookup where the text repeats itself, Kangaroo elsewhere; "
            "or any other drafters, in turn",
        )
    )

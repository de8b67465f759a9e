"""Speculative sampling with a smaller model (Leviathan et al., 2023; Chen et al., 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import Strategy, hookimpl
from specframe_draft_model._options import DraftModelOptions

if TYPE_CHECKING:
    from specframe import RegisterComponent, RegisterStrategy

__all__ = ["DraftModelOptions"]


@hookimpl
def specframe_register_drafters(register: RegisterComponent) -> None:
    """Register the drafter that is a model."""
    register(
        "draft-model",
        "specframe_draft_model._drafter:ModelDrafter",
        options=DraftModelOptions,
        summary="a smaller model with the same tokenizer drafts",
    )


@hookimpl
def specframe_register_strategies(register: RegisterStrategy) -> None:
    """Register the drafter with the policy that reads its threshold, 0 if there is none."""
    register(
        Strategy(
            "draft-model",
            "draft-model",
            stop_policy="confidence",
            summary="speculative sampling: a smaller model drafts, the target verifies",
        )
    )

"""Kangaroo: double early exit (NeurIPS 2024). The first layers and a small adapter draft."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from specframe import Strategy, hookimpl
from specframe_kangaroo._options import KangarooOptions

if TYPE_CHECKING:
    from specframe import RegisterComponent, RegisterStrategy
    from specframe_kangaroo._adapter import Adapter, AdapterConfig
    from specframe_kangaroo._checkpoint import (
        Checkpoint,
        check_base,
        load_checkpoint,
        save_checkpoint,
    )
    from specframe_kangaroo._loss import distillation_loss
    from specframe_kangaroo._training import train

__all__ = [
    "Adapter",
    "AdapterConfig",
    "Checkpoint",
    "KangarooOptions",
    "check_base",
    "distillation_loss",
    "load_checkpoint",
    "save_checkpoint",
    "train",
]

# Imported on first use: listing plug-ins imports this module, and must not import torch.
_HOMES = {
    "Adapter": "_adapter",
    "AdapterConfig": "_adapter",
    "Checkpoint": "_checkpoint",
    "check_base": "_checkpoint",
    "distillation_loss": "_loss",
    "load_checkpoint": "_checkpoint",
    "save_checkpoint": "_checkpoint",
    "train": "_training",
}


def __getattr__(name: str) -> object:
    """Import the public names that need torch on their first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


@hookimpl
def specframe_register_drafters(register: RegisterComponent) -> None:
    """Register the self-drafter."""
    register(
        "kangaroo",
        "specframe_kangaroo._drafter:KangarooDrafter",
        options=KangarooOptions,
        summary="the target's first layers and a trained adapter draft",
    )


@hookimpl
def specframe_register_strategies(register: RegisterStrategy) -> None:
    """Register the drafter with the paper's early stop."""
    register(
        Strategy(
            "kangaroo",
            "kangaroo",
            stop_policy="confidence",
            summary="double early exit: draft with the first layers, stop when unsure",
        )
    )


@hookimpl
def specframe_register_trainers(register: RegisterComponent) -> None:
    """Register the training of an adapter."""
    register(
        "kangaroo",
        "specframe_kangaroo._training:train",
        summary="train an adapter for a model's exit layer",
    )

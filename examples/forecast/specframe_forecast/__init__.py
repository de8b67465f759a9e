"""A self-drafter with a trained part. Every listing imports this module: no torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import Strategy, hookimpl
from specframe_forecast._options import ForecastOptions

if TYPE_CHECKING:
    from specframe import RegisterComponent, RegisterStrategy

__all__ = ["ForecastOptions"]

specframe_api = "1.0"


@hookimpl
def specframe_register_drafters(register: RegisterComponent) -> None:
    """Register the self-drafter."""
    register(
        "forecast",
        "specframe_forecast._drafter:ForecastDrafter",
        options=ForecastOptions,
        summary="a trained linear map forecasts the target's last hidden state, token by token",
    )


@hookimpl
def specframe_register_strategies(register: RegisterStrategy) -> None:
    """Register the drafter with an early stop: a forecast of a forecast is often unsure."""
    register(
        Strategy(
            "forecast",
            "forecast",
            stop_policy="confidence",
            summary="forecast hidden states with a linear map; stop when unsure",
        )
    )


@hookimpl
def specframe_register_trainers(register: RegisterComponent) -> None:
    """Register the training: ``specframe train forecast``."""
    register(
        "forecast",
        "specframe_forecast._training:train",
        summary="fit the linear map of the drafter 'forecast' to a model, in one pass",
    )

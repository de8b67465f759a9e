"""Where the weights of a loaded model are, and how they are stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from specframe._errors import ModelError

NOWHERE = "meta"  # the device of tensors that have a shape and no values


def all_weights(model: nn.Module) -> Iterable[tuple[str, Any]]:
    """Return parameters and buffers with their names."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def refuse_scattered(weights: Iterable[tuple[str, Any]]) -> None:
    """Raise ModelError unless all weights are in the memory of one device."""
    first: dict[str, str] = {}
    for name, tensor in weights:
        first.setdefault(str(tensor.device), name)
    if NOWHERE in first:
        raise ModelError(
            f"the values of '{first[NOWHERE]}' are not in memory (offloaded, or never loaded), and "
            "a decoder moves none: load the model with a device_map of one device that holds it all"
        )
    if len(first) > 1:
        (device, name), (other, its_name) = list(first.items())[:2]
        raise ModelError(
            f"'{name}' lies on {device} and '{its_name}' on {other}, and a decoder runs all layers "
            "on one device: load the model with a device_map of one device that holds it all"
        )


def quantisation(model: Any) -> str | None:
    """Return how the model's weights are quantised: transformers' word, or torch's module."""
    config: Any = getattr(model.config, "quantization_config", None)
    if config is not None:
        method = config["quant_method"] if isinstance(config, dict) else config.quant_method
        return str(getattr(method, "value", method))
    homes = (type(module).__module__ for module in model.modules())
    return next((home for home in homes if "quantized" in home), None)

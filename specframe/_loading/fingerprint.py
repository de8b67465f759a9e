"""Recognise a model: what a trained drafter stores about its base."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import Tensor, nn

ROWS = 64  # of each sampled matrix
SHAPE_FIELDS = (
    "model_type",
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
)


def fingerprint(model: nn.Module) -> str:
    """Return a hash of a transformers model, 16 hexadecimal digits: its shape, signs of weights.

    No floating-point type rounds the sign of a weight away, so the hash is the same in whichever
    type the model is loaded; fine-tuning flips some of the sampled signs. Four matrices are
    sampled, from the first to the last. ``model`` needs a transformers ``config``. Raises no error
    of specframe's.
    """
    digest = hashlib.sha256(json.dumps(_shape(model)).encode())
    for weight in _sample(model):
        digest.update(torch.signbit(weight[:ROWS]).to("cpu", torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def text_config(model: nn.Module) -> Any:
    """Return the part of a transformers model's config that describes its language model."""
    config: Any = model.config
    return config.get_text_config()


def _shape(model: nn.Module) -> list[object]:
    config = text_config(model)
    return [getattr(config, field, None) for field in SHAPE_FIELDS]


def _sample(model: nn.Module) -> list[Tensor]:
    matrices = [
        weight.detach()
        for weight in model.parameters()
        if weight.ndim == 2 and weight.is_floating_point()
    ]
    if not matrices:  # of quantised weights, none may be left
        return []
    last = len(matrices) - 1
    return [matrices[index] for index in (0, last // 3, 2 * last // 3, last)]

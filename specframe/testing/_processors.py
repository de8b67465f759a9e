"""Logits processors in plain torch: one that reads the prefix, one that filters."""

from __future__ import annotations

import torch
from torch import Tensor


def fewer_repeats(ids: Tensor, scores: Tensor) -> Tensor:
    """Take away from tokens as often as the prefix has them, and from the last one's successor."""
    counts = torch.bincount(ids[0], minlength=scores.shape[-1]).to(scores.dtype)
    counts[(ids[0, -1] + 1) % scores.shape[-1]] += 1
    return scores - 0.7 * counts


def likeliest_three(_: Tensor, scores: Tensor) -> Tensor:
    """Let only the three largest be chosen, and what ties with them."""
    least = scores.topk(min(3, scores.shape[-1])).values[..., -1:]
    return scores.masked_fill(scores < least, float("-inf"))

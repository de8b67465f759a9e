"""Random numbers that depend on what they are for, not on when they are drawn.

Noise is computed from a key (Philox 4x64, a counter-based generator), so a number depends on what
it is for and not on how many were drawn before it. docs/sampling.md lists the streams and their
keys.
"""

from __future__ import annotations

import enum

import attrs
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor


class Purpose(enum.IntEnum):
    """Name the streams of noise; no two share a number.

    ``COUPLE`` is keyed by the index of the new token alone, so that drafter and target, or plain
    and speculative decoding, get the same noise there. The others (``DRAFT``, ``ACCEPT``,
    ``RESIDUAL``) are keyed by round, node and draw as well: shared noise would bias the output.
    """

    COUPLE = 0
    DRAFT = 1
    ACCEPT = 2
    RESIDUAL = 3


@attrs.frozen
class Key:
    """Say what a random number is for: whose row, which stream, which token, node and draw."""

    seed: int
    purpose: Purpose
    index: int
    node: int = 0
    draw: int = 0


def uniforms(key: Key, count: int = 1) -> Float[Tensor, " count"]:
    """Return numbers strictly between 0 and 1, in float64, the same on every machine.

    Philox 4x64 (Salmon et al., SC 2011); its raw words are part of NumPy's compatibility promise.
    """
    counter = np.array([0, key.index, key.node, key.draw], dtype=np.uint64)
    secret = np.array([key.seed, key.purpose], dtype=np.uint64)
    return torch.from_numpy(
        between(np.random.Philox(counter=counter, key=secret).random_raw(count))
    )


def between(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return words as numbers strictly between 0 and 1: 52 bits, so that no half rounds up to 1."""
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def gumbels(key: Key, count: int) -> Float[Tensor, " count"]:
    """Return standard Gumbel noise: ``argmax(log p + noise)`` is a draw from p."""
    return uniforms(key, count).log_().neg_().log_().neg_()

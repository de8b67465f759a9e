"""The shapes of trees: how deep their nodes stand, and the one that nearly all of them have."""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Int
from torch import Tensor


@cache
def chain_shape(
    batch: int, nodes: int, device: torch.device
) -> tuple[Int[Tensor, "batch node"], Int[Tensor, " batch"]]:
    """Return parents and sizes of chains of one length, nearly every draft's.

    They are kept and shared: behind a forward each tensor that is made costs 20 us.
    """
    parents = torch.arange(-1, nodes - 1, device=device).repeat(batch, 1)
    return parents, torch.full((batch,), nodes, device=device)


def depths_of(parents: list[int]) -> list[int]:
    """Return the depth of every node of a tree given as parent indices."""
    depths: list[int] = []
    for parent in parents:
        depths.append(0 if parent < 0 else depths[parent] + 1)
    return depths

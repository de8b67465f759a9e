"""The shapes of trees: how deep their nodes are, and the one that nearly all of them have."""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Int
from torch import Tensor

Shape = tuple[Int[Tensor, "batch node"], Int[Tensor, " batch"]]


def chain_shape(batch: int, nodes: int, device: torch.device) -> Shape:
    """Return parents and sizes of chains of one length, nearly every draft's.

    They are kept and shared: after a forward each new tensor costs 20 us. A draft whose owner
    writes to them is spoilt; the next draft gets others.
    """
    shape = _kept_shape(batch, nodes, device)
    if shape[0]._version or shape[1]._version:  # noqa: SLF001 (it counts writes, and has no other name)
        _kept_shape.cache_clear()
        shape = _kept_shape(batch, nodes, device)
    return shape


@cache
def _kept_shape(batch: int, nodes: int, device: torch.device) -> Shape:
    with torch.inference_mode(mode=False):  # inference tensors do not count writes
        parents = torch.arange(-1, nodes - 1, device=device).repeat(batch, 1)
        return parents, torch.full((batch,), nodes, device=device)


def depths_of(parents: list[int]) -> list[int]:
    """Return the depth of every node of a tree given as parent indices."""
    depths: list[int] = []
    for parent in parents:
        depths.append(0 if parent < 0 else depths[parent] + 1)
    return depths

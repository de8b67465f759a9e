"""Drafters that each draw tokens, or report them, in a way that breaks one rule."""

from __future__ import annotations

import torch
from torch import Tensor

from specframe import Purpose, Rows, Sampler, TreeBuilder
from specframe._sampling.noise import Key, uniforms
from specframe.testing._correct_drafters import EarlyExit


class Lying(EarlyExit):
    """Declare a sharper q than it draws from."""

    def draw(
        self, rows: Rows, tree: TreeBuilder, node: int, logits: Tensor, sampler: Sampler
    ) -> tuple[Tensor, Tensor | None]:
        """Draw honestly, report another temperature."""
        tokens, q = super().draw(rows, tree, node, logits, sampler)
        return tokens, None if q is None else q**2 / (q**2).sum(dim=-1, keepdim=True)


class GreedyWithSoftmaxQ(EarlyExit):
    """Take the likeliest token and declare that it was drawn."""

    def draw(
        self, rows: Rows, tree: TreeBuilder, node: int, logits: Tensor, sampler: Sampler
    ) -> tuple[Tensor, Tensor | None]:
        """Draw nothing."""
        tokens, q = super().draw(rows, tree, node, logits, sampler)
        return (tokens if q is None else q.argmax(dim=-1)), q


class DropsTheUnlikely(EarlyExit):
    """Draw a token, and drop it for its own probability (a post-hoc trim)."""

    def keeps(self, tokens: Tensor, q: Tensor | None) -> Tensor:
        """Keep what is likelier than a quarter."""
        if q is None:
            return super().keeps(tokens, q)
        return q.gather(1, tokens[:, None])[:, 0] > 0.25


class BorrowsTheCoin(EarlyExit):
    """Draw from the true q with the very numbers that will decide about acceptance."""

    def draw(
        self, rows: Rows, tree: TreeBuilder, node: int, logits: Tensor, sampler: Sampler
    ) -> tuple[Tensor, Tensor | None]:
        """Invert the cumulative q at the verifier's coin."""
        tokens, q = super().draw(rows, tree, node, logits, sampler)
        if q is None:
            return tokens, q
        coins = [uniforms(Key(row.seed, Purpose.ACCEPT, row.count, node)) for row in rows.active]
        places = (q.cumsum(dim=-1) < torch.stack(coins)).sum(dim=-1)
        return places.clamp(max=q.shape[-1] - 1), q


class OnlyInFloat64(EarlyExit):
    """Bring a weight of its own and never ask for the target's dtype."""

    def draw(
        self, rows: Rows, tree: TreeBuilder, node: int, logits: Tensor, sampler: Sampler
    ) -> tuple[Tensor, Tensor | None]:
        """Multiply by the identity."""
        weight = torch.eye(logits.shape[-1], dtype=torch.float64)
        return super().draw(rows, tree, node, logits @ weight, sampler)

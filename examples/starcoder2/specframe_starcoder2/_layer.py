"""A decoder layer of StarCoder2 on the slot cache."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from jaxtyping import Float
from torch import Tensor

from specframe import Pass, SlotCache

Map = Callable[[Tensor], Tensor]


@attrs.frozen(eq=False)
class Starcoder2Layer:
    """Norm before each part, add its output after it.

    ``project`` answers the heads of queries, keys and values side by side.
    """

    attend_norm: Map
    project: Map
    out: Map
    feed_norm: Map
    up: Map
    activate: Map
    down: Map
    heads: int
    kv_heads: int
    head_dim: int
    window: int | None

    def __call__(
        self,
        hidden: Float[Tensor, "batch token hidden"],
        cache: SlotCache,
        index: int,
        shared: Pass,
    ) -> Float[Tensor, "batch token hidden"]:
        """Return the hidden states after layer ``index``; writes its keys and values."""
        hidden = hidden + self._attend(self.attend_norm(hidden), cache, index, shared)
        return hidden + self.down(self.activate(self.up(self.feed_norm(hidden))))

    def _attend(self, states: Tensor, cache: SlotCache, index: int, shared: Pass) -> Tensor:
        """Write the new keys and values, then attend to what the cache holds."""
        heads = self.project(states).view(*states.shape[:2], -1, self.head_dim)
        queries_and_keys = self.heads + self.kv_heads
        turned = shared.rotate(heads[:, :, :queries_and_keys])
        key, value = cache.put(
            index, turned[:, :, self.heads :], heads[:, :, queries_and_keys:], shared.placement
        )
        return self.out(shared.attend(turned[:, :, : self.heads], key, value, window=self.window))

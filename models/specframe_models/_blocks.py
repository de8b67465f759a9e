"""The parts of decoder layers on the slot cache: attention, feed-forward parts, layers."""

from __future__ import annotations

import abc
from collections.abc import Callable

import attrs
from jaxtyping import Float
from torch import Tensor

from specframe import Pass, SlotCache

Map = Callable[[Tensor], Tensor]


@attrs.frozen
class LayerKind:
    """Say what differs between the layers of one model.

    ``window`` is the number of positions a token sees, its own included (None: all before it);
    ``rotary`` names the rotary table if a model has more than one.
    """

    window: int | None = None
    rotary: str | None = None


@attrs.frozen(eq=False)
class Attention:
    """Write the new keys and values to the cache, then attend to what it holds.

    ``project`` returns the heads of queries, keys and values side by side; ``head_norm`` norms
    those of queries and keys before they are rotated.
    """

    project: Map
    out: Map
    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    kind: LayerKind = attrs.field(factory=LayerKind)
    head_norm: Map | None = None
    softcap: float | None = None

    def __call__(
        self,
        hidden: Float[Tensor, "batch token hidden"],
        cache: SlotCache,
        index: int,
        shared: Pass,
    ) -> Float[Tensor, "batch token hidden"]:
        """Return what layer ``index`` adds to its input by attention."""
        batch, length, _ = hidden.shape
        heads = self.project(hidden).view(batch, length, -1, self.head_dim)
        turning, value = heads.split_with_sizes((self.heads + self.kv_heads, self.kv_heads), 2)
        if self.head_norm is not None:
            turning = self.head_norm(turning)
        turned = shared.rotate(turning, self.kind.rotary)
        query, key = turned.split_with_sizes((self.heads, self.kv_heads), 2)
        key, value = cache.put(index, key, value, shared.placement)
        attended = shared.attend(
            query,
            key,
            value,
            scale=self.scale,
            window=self.kind.window,
            softcap=self.softcap,
        )
        return self.out(attended)


@attrs.frozen(eq=False)
class GatedFeedForward:
    """Let one projection gate the other; ``gate_up`` returns both side by side."""

    gate_up: Map
    down: Map
    activate: Map

    def __call__(
        self, states: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token hidden"]:
        """Return what the feed-forward part adds."""
        gate, up = self.gate_up(states).chunk(2, dim=-1)
        return self.down(self.activate(gate).mul_(up))


@attrs.frozen(eq=False)
class FeedForward:
    """Widen, activate, narrow."""

    up: Map
    down: Map
    activate: Map

    def __call__(
        self, states: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token hidden"]:
        """Return what the feed-forward part adds."""
        return self.down(self.activate(self.up(states)))


@attrs.frozen(eq=False)
class DecoderLayer(abc.ABC):
    """Hold the two parts of a layer; a subclass adds their outputs to the hidden states."""

    attend: Attention
    feed: Map

    @abc.abstractmethod
    def __call__(self, hidden: Tensor, cache: SlotCache, index: int, shared: Pass) -> Tensor:
        """Return the hidden states after layer ``index``; writes its keys and values."""


@attrs.frozen(eq=False)
class PreNormLayer(DecoderLayer):
    """Norm before each part, add its output after it: Llama, GPT-2 and most others."""

    attend_norm: Map
    feed_norm: Map

    def __call__(self, hidden: Tensor, cache: SlotCache, index: int, shared: Pass) -> Tensor:
        """Return the hidden states after layer ``index``; writes its keys and values."""
        hidden = hidden + self.attend(self.attend_norm(hidden), cache, index, shared)
        return hidden + self.feed(self.feed_norm(hidden))

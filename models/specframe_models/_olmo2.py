"""OLMo 2: norms after each part instead of before it, and over all heads at once."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import torch
from jaxtyping import Float
from torch import Tensor

from specframe import Pass, RMSNorm, SlotCache
from specframe_models._blocks import DecoderLayer, LayerKind, Map
from specframe_models._llama import LlamaFamily


class Olmo2Family(LlamaFamily):
    """OLMo 2; its norms apply their weight before they round."""

    model_types: ClassVar[frozenset[str]] = frozenset({"olmo2"})

    def norm(self, module: Any) -> Map:
        """Return a norm whose weight is applied in float32 at least."""
        weight = module.weight.detach()
        wide = torch.promote_types(weight.dtype, torch.float32)
        return RMSNorm(weight.to(wide), module.variance_epsilon)

    def layer(self, module: Any, kind: LayerKind, *, owned: bool) -> DecoderLayer:
        """Return a layer with a norm after each part."""
        return PostNormLayer(
            attend=self.attention(module.self_attn, kind, owned=owned),
            feed=self.feed_forward(module.mlp, owned=owned),
            after_attend=self.norm(module.post_attention_layernorm),
            after_feed=self.norm(module.post_feedforward_layernorm),
        )

    def head_norm(self, module: Any, heads: int, kv_heads: int) -> Map:
        """Return a norm of all queries at once and one of all keys at once."""
        return WideHeadNorm(heads, self.norm(module.q_norm), self.norm(module.k_norm))


@attrs.frozen(eq=False)
class PostNormLayer(DecoderLayer):
    """Norm what each part returns, then add it."""

    after_attend: Map
    after_feed: Map

    def __call__(self, hidden: Tensor, cache: SlotCache, index: int, shared: Pass) -> Tensor:
        """Return the hidden states after layer ``index``; writes its keys and values."""
        hidden = hidden + self.after_attend(self.attend(hidden, cache, index, shared))
        return hidden + self.after_feed(self.feed(hidden))


@attrs.frozen(eq=False)
class WideHeadNorm:
    """Norm ``heads`` query heads as one vector, and the key heads after them as another."""

    heads: int
    query: Map
    key: Map

    def __call__(
        self, states: Float[Tensor, "batch token heads head_dim"]
    ) -> Float[Tensor, "batch token heads head_dim"]:
        """Return the normed heads."""
        query, key = states[:, :, : self.heads], states[:, :, self.heads :]
        normed = torch.cat([self.query(query.flatten(2)), self.key(key.flatten(2))], dim=-1)
        return normed.view(states.shape)

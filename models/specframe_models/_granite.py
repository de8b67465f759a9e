"""Granite: Llama with multipliers on embeddings, attention scores, residuals and logits."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
from torch import Tensor

from specframe import Pass, SlotCache
from specframe_models._blocks import DecoderLayer, LayerKind, Map, PreNormLayer
from specframe_models._llama import LlamaFamily


class GraniteFamily(LlamaFamily):
    """Granite; the scores' multiplier is the attention module's ``scaling``."""

    model_types: ClassVar[frozenset[str]] = frozenset({"granite"})

    def embed(self, model: Any) -> Map:
        """Return the look-up, times ``embedding_multiplier``."""
        look_up, multiplier = super().embed(model), model.config.embedding_multiplier
        return lambda tokens: look_up(tokens) * multiplier

    def layer(self, module: Any, kind: LayerKind, *, owned: bool) -> DecoderLayer:
        """Return a layer whose parts are scaled before they are added."""
        return ScaledLayer(
            attend=self.attention(module.self_attn, kind, owned=owned),
            feed=self.feed_forward(module.mlp, owned=owned),
            attend_norm=self.norm(module.input_layernorm),
            feed_norm=self.norm(module.post_attention_layernorm),
            multiplier=module.residual_multiplier,
        )

    def finish(self, config: Any, logits: Tensor) -> Tensor:
        """Divide the logits by ``logits_scaling``."""
        scaling: float = config.logits_scaling
        return logits / scaling


@attrs.frozen(eq=False)
class ScaledLayer(PreNormLayer):
    """Norm before each part; add its output times ``multiplier``."""

    multiplier: float

    def __call__(self, hidden: Tensor, cache: SlotCache, index: int, shared: Pass) -> Tensor:
        """Return the hidden states after layer ``index``; writes its keys and values."""
        attended = self.attend(self.attend_norm(hidden), cache, index, shared)
        hidden = hidden + attended * self.multiplier
        return hidden + self.feed(self.feed_norm(hidden)) * self.multiplier

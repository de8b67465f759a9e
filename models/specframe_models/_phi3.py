"""Phi-3 and Phi-4: Llama with projections that are fused already, and a partial rotation."""

from __future__ import annotations

from typing import Any, ClassVar

from specframe import Projection
from specframe_models._blocks import Attention, GatedFeedForward, LayerKind, Map
from specframe_models._llama import MistralFamily


class Phi3Family(MistralFamily):
    """Phi-3; its rotary table may be narrower than a head."""

    model_types: ClassVar[frozenset[str]] = frozenset({"phi3"})

    def attention(self, module: Any, kind: LayerKind, *, owned: bool) -> Attention:
        """Return the attention part."""
        return Attention(
            project=Projection([module.qkv_proj], owned=owned),
            out=Projection([module.o_proj], owned=owned),
            heads=module.config.num_attention_heads,
            kv_heads=module.config.num_key_value_heads,
            head_dim=module.head_dim,
            scale=module.scaling,
            kind=kind,
        )

    def feed_forward(self, module: Any, *, owned: bool) -> Map:
        """Return the feed-forward part."""
        return GatedFeedForward(
            gate_up=Projection([module.gate_up_proj], owned=owned),
            down=Projection([module.down_proj], owned=owned),
            activate=module.activation_fn,
        )

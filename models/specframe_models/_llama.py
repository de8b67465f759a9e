"""Llama and the families that differ from it in details: Mistral, Qwen2, Qwen3."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from specframe import Projection, RMSNorm
from specframe_models._blocks import (
    Attention,
    DecoderLayer,
    GatedFeedForward,
    LayerKind,
    Map,
    PreNormLayer,
)
from specframe_models._decoder_family import DecoderFamily, Modules


class LlamaFamily(DecoderFamily):
    """Split ``model.model.{embed_tokens, layers, norm, rotary_emb}`` and ``model.lm_head``."""

    model_types: ClassVar[frozenset[str]] = frozenset({"llama"})

    def parts(self, model: Any) -> Modules:
        """Return the modules, under the names that most architectures use."""
        body = model.model
        return Modules(body.embed_tokens, body.layers, body.norm, model.lm_head, body.rotary_emb)

    def layer(self, module: Any, kind: LayerKind, *, owned: bool) -> DecoderLayer:
        """Return a layer with a norm before each part."""
        return PreNormLayer(
            attend=self.attention(module.self_attn, kind, owned=owned),
            feed=self.feed_forward(module.mlp, owned=owned),
            attend_norm=self.norm(module.input_layernorm),
            feed_norm=self.norm(module.post_attention_layernorm),
        )

    def attention(self, module: Any, kind: LayerKind, *, owned: bool) -> Attention:
        """Return the attention part, its three projections as one where that is allowed."""
        heads = module.q_proj.out_features // module.head_dim
        kv_heads = module.k_proj.out_features // module.head_dim
        return Attention(
            project=Projection([module.q_proj, module.k_proj, module.v_proj], owned=owned),
            out=Projection([module.o_proj], owned=owned),
            heads=heads,
            kv_heads=kv_heads,
            head_dim=module.head_dim,
            scale=module.scaling,
            kind=kind,
            head_norm=self.head_norm(module, heads, kv_heads),
        )

    def head_norm(self, module: Any, heads: int, kv_heads: int) -> Map | None:
        """Return what norms the heads of queries and keys, side by side, or None."""
        return None

    def feed_forward(self, module: Any, *, owned: bool) -> Map:
        """Return the feed-forward part."""
        return GatedFeedForward(
            gate_up=Projection([module.gate_proj, module.up_proj], owned=owned),
            down=Projection([module.down_proj], owned=owned),
            activate=module.act_fn.forward,  # a call of the module costs as much as the function
        )


class MistralFamily(LlamaFamily):
    """Mistral: one sliding window for all layers, or none."""

    model_types: ClassVar[frozenset[str]] = frozenset({"mistral"})

    def kinds(self, model: Any) -> list[LayerKind]:
        """Return the configured window for every layer."""
        return [LayerKind(model.config.sliding_window) for _ in self.parts(model).layers]


class Qwen2Family(LlamaFamily):
    """Qwen2: biased projections, and windows on the layers that the config names."""

    model_types: ClassVar[frozenset[str]] = frozenset({"qwen2"})

    def kinds(self, model: Any) -> list[LayerKind]:
        """Return the window of layers of type ``sliding_attention``."""
        config = model.config
        return [
            LayerKind(config.sliding_window if name == "sliding_attention" else None)
            for name in config.layer_types
        ]


class Qwen3Family(Qwen2Family):
    """Qwen3: as Qwen2, with norms on the heads of queries and keys."""

    model_types: ClassVar[frozenset[str]] = frozenset({"qwen3"})

    def head_norm(self, module: Any, heads: int, kv_heads: int) -> Map:
        """Return one norm for query and key heads side by side."""
        weights = [module.q_norm.weight.detach()] * heads
        weights += [module.k_norm.weight.detach()] * kv_heads
        return RMSNorm(torch.stack(weights), module.q_norm.variance_epsilon)

"""GPT-NeoX and Pythia: layer norms, a partial rotation, both parts side by side."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
from torch import Tensor

from specframe import Pass, Projection, SlotCache
from specframe_models._blocks import (
    Attention,
    DecoderLayer,
    FeedForward,
    LayerKind,
    Map,
    PreNormLayer,
)
from specframe_models._decoder_family import DecoderFamily, Modules


class GPTNeoXFamily(DecoderFamily):
    """Split ``model.gpt_neox.{embed_in, layers, final_layer_norm, rotary_emb}`` and the head."""

    model_types: ClassVar[frozenset[str]] = frozenset({"gpt_neox"})

    def parts(self, model: Any) -> Modules:
        """Return the modules."""
        body = model.gpt_neox
        return Modules(
            body.embed_in, body.layers, body.final_layer_norm, model.lm_head, body.rotary_emb
        )

    def norm(self, module: Any) -> Map:
        """Return the layer norm itself."""
        norm: Map = module
        return norm

    def layer(self, module: Any, kind: LayerKind, *, owned: bool) -> DecoderLayer:
        """Return a layer whose parts read the same states, or one after the other."""
        build = ParallelLayer if module.use_parallel_residual else PreNormLayer
        mlp = module.mlp
        return build(
            attend=_attention(module.attention, kind, owned=owned),
            feed=FeedForward(
                up=Projection([mlp.dense_h_to_4h], owned=owned),
                down=Projection([mlp.dense_4h_to_h], owned=owned),
                activate=mlp.act,
            ),
            attend_norm=self.norm(module.input_layernorm),
            feed_norm=self.norm(module.post_attention_layernorm),
        )


def _attention(module: Any, kind: LayerKind, *, owned: bool) -> Attention:
    heads = module.config.num_attention_heads
    return Attention(
        project=HeadByHead(Projection([module.query_key_value], owned=owned), heads),
        out=Projection([module.dense], owned=owned),
        heads=heads,
        kv_heads=heads,
        head_dim=module.head_size,
        scale=module.scaling,
        kind=kind,
    )


@attrs.frozen(eq=False)
class HeadByHead:
    """Reorder a projection that returns query, key and value of each head in turn."""

    project: Map
    heads: int

    def __call__(self, states: Tensor) -> Tensor:
        """Return all queries, then all keys, then all values."""
        answers = self.project(states)
        by_head = answers.view(*answers.shape[:-1], self.heads, 3, -1)
        return by_head.transpose(-3, -2).flatten(-3)


@attrs.frozen(eq=False)
class ParallelLayer(PreNormLayer):
    """Let both parts read the same states."""

    def __call__(self, hidden: Tensor, cache: SlotCache, index: int, shared: Pass) -> Tensor:
        """Return the hidden states after layer ``index``; writes its keys and values."""
        attended = self.attend(self.attend_norm(hidden), cache, index, shared)
        return self.feed(self.feed_norm(hidden)) + attended + hidden

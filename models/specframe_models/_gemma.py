"""Gemma 1 to 3: scaled embeddings, norms around 1, soft caps, two kinds of layers."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor

from specframe import Pass, RMSNorm, SlotCache
from specframe_models._blocks import Attention, DecoderLayer, LayerKind, Map
from specframe_models._decoder_family import Modules
from specframe_models._llama import LlamaFamily


class GemmaFamily(LlamaFamily):
    """Gemma: Llama's layers, with norms that scale by 1 + weight.

    ``embed_tokens`` itself scales what it looks up.
    """

    model_types: ClassVar[frozenset[str]] = frozenset({"gemma"})

    def norm(self, module: Any) -> Map:
        """Return a norm that scales by 1 + weight, in float32 at least."""
        return RMSNorm(_scale_of(module), module.eps)


class Gemma2Family(GemmaFamily):
    """Gemma 2: norms on both sides of each part, capped scores and logits, windows."""

    model_types: ClassVar[frozenset[str]] = frozenset({"gemma2"})

    def refusal(self, model: Any) -> str | None:
        """Refuse an attention that silently leaves out the cap of the scores."""
        config = model.config
        if config._attn_implementation == "sdpa" and config.attn_logit_softcapping is not None:  # noqa: SLF001 (no public name)
            return (
                "this version of transformers leaves out the soft cap of its attention scores "
                "under 'sdpa': load the model with attn_implementation='eager' and hand it over, "
                "or take a newer transformers"
            )
        return super().refusal(model)

    def kinds(self, model: Any) -> list[LayerKind]:
        """Return the window of layers of type ``sliding_attention``."""
        config = model.config
        return [
            LayerKind(config.sliding_window if name == "sliding_attention" else None)
            for name in config.layer_types
        ]

    def layer(self, module: Any, kind: LayerKind, *, owned: bool) -> DecoderLayer:
        """Return a layer with a norm before and after each part."""
        return SandwichLayer(
            attend=self.attention(module.self_attn, kind, owned=owned),
            feed=self.feed_forward(module.mlp, owned=owned),
            before_attend=self.norm(module.input_layernorm),
            after_attend=self.norm(module.post_attention_layernorm),
            before_feed=self.norm(module.pre_feedforward_layernorm),
            after_feed=self.norm(module.post_feedforward_layernorm),
        )

    def attention(self, module: Any, kind: LayerKind, *, owned: bool) -> Attention:
        """Return attention with capped scores."""
        attention = super().attention(module, kind, owned=owned)
        return attrs.evolve(attention, softcap=module.attn_logit_softcapping)

    def finish(self, config: Any, logits: Tensor) -> Tensor:
        """Cap the logits."""
        cap = config.final_logit_softcapping
        return logits if cap is None else torch.tanh(logits / cap) * cap


class Gemma3Family(Gemma2Family):
    """Gemma 3's text model: head norms, and a rotary table for each type of layer.

    Its config has a cap for the scores, which transformers does not apply.
    """

    model_types: ClassVar[frozenset[str]] = frozenset({"gemma3_text"})

    def refusal(self, model: Any) -> str | None:
        """Refuse what any decoder is refused for."""
        return super(Gemma2Family, self).refusal(model)

    def kinds(self, model: Any) -> list[LayerKind]:
        """Return window and rotary table by type of layer."""
        config = model.config.get_text_config()
        return [
            LayerKind(config.sliding_window if name == "sliding_attention" else None, rotary=name)
            for name in config.layer_types
        ]

    def attention(self, module: Any, kind: LayerKind, *, owned: bool) -> Attention:
        """Return attention without a cap."""
        return super(Gemma2Family, self).attention(module, kind, owned=owned)

    def head_norm(self, module: Any, heads: int, kv_heads: int) -> Map:
        """Return one norm for query and key heads side by side."""
        scales = [_scale_of(module.q_norm)] * heads + [_scale_of(module.k_norm)] * kv_heads
        return RMSNorm(torch.stack(scales), module.q_norm.eps)


class Gemma3WithImagesFamily(Gemma3Family):
    """Gemma 3 with a vision tower, which text alone never reaches."""

    model_types: ClassVar[frozenset[str]] = frozenset({"gemma3"})

    def parts(self, model: Any) -> Modules:
        """Return the modules of the language model."""
        body = model.model.language_model
        return Modules(body.embed_tokens, body.layers, body.norm, model.lm_head, body.rotary_emb)

    def finish(self, config: Any, logits: Tensor) -> Tensor:
        """Leave the logits: transformers does not cap them here, whatever the config says."""
        return logits


@attrs.frozen(eq=False)
class SandwichLayer(DecoderLayer):
    """Norm what each part reads and what it returns."""

    before_attend: Map
    after_attend: Map
    before_feed: Map
    after_feed: Map

    def __call__(self, hidden: Tensor, cache: SlotCache, index: int, shared: Pass) -> Tensor:
        """Return the hidden states after layer ``index``; writes its keys and values."""
        attended = self.attend(self.before_attend(hidden), cache, index, shared)
        hidden = hidden + self.after_attend(attended)
        return hidden + self.after_feed(self.feed(self.before_feed(hidden)))


def _scale_of(norm: Any) -> Tensor:
    weight: Tensor = norm.weight.detach()
    return 1 + weight.to(torch.promote_types(weight.dtype, torch.float32))

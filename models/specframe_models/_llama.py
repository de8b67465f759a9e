"""Llama and the families that differ from it in details: Mistral, Qwen2, Qwen3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask

from specframe import Family, Pass, Projection, RMSNorm, RotaryTable, SlotCache, Split

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LENGTH_DEPENDENT_ROPE = frozenset({"dynamic", "longrope"})


class LlamaFamily(Family):
    """Split ``model.model.{embed_tokens, layers, norm, rotary_emb}`` and ``model.lm_head``."""

    model_types: ClassVar[frozenset[str]] = frozenset({"llama"})

    def refusal(self, model: PreTrainedModel) -> str | None:
        """Refuse rotary tables that change with the length of the sequence."""
        rope = model.model.rotary_emb.rope_type
        if rope in LENGTH_DEPENDENT_ROPE:
            return (
                f"its rotary positions (rope_type '{rope}') change with the length of the "
                "sequence, so that cached keys would not stay valid"
            )
        return None

    def windows(self, model: PreTrainedModel) -> list[int | None]:
        """Return each layer's sliding window, None where it sees everything."""
        return [None] * len(model.model.layers)

    def run_stock(
        self, model: PreTrainedModel, tokens: Int[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token vocab"]:
        """Run embedding, layers, norm and head as the model's own forward does."""
        body: Any = model.model
        hidden = body.embed_tokens(tokens)
        positions = torch.arange(tokens.shape[1], device=tokens.device)[None]
        rotary = body.rotary_emb(hidden, positions)
        masks = {
            window: _stock_mask(model, hidden, positions, window)
            for window in set(self.windows(model))
        }
        for layer, window in zip(body.layers, self.windows(model), strict=True):
            hidden = layer(
                hidden,
                attention_mask=masks[window],
                position_ids=positions,
                position_embeddings=rotary,
            )
        logits: Tensor = model.lm_head(body.norm(hidden))
        return logits

    def split(self, model: PreTrainedModel, *, owned: bool) -> Split:
        """Return fused layers where the engine owns the weights, else the same on plain ones."""
        body: Any = model.model
        config = model.config
        first = body.layers[0].self_attn
        head: Any = model.lm_head
        is_tied = head.weight is body.embed_tokens.weight
        width, eps = config.hidden_size, config.rms_norm_eps
        embed_weight = body.embed_tokens.weight
        return Split(
            layers=[
                LlamaLayer(layer, window, owned=owned)
                for layer, window in zip(body.layers, self.windows(model), strict=True)
            ],
            embed=lambda tokens: nn.functional.embedding(tokens, embed_weight),
            norm=RMSNorm(body.norm.weight, eps),
            head=Projection([head], owned=owned, keep=is_tied),
            rotary=lambda positions: _rotary_table(body.rotary_emb, embed_weight, positions),
            hidden_size=width,
            vocab_size=head.out_features,
            kv_heads=config.num_key_value_heads,
            groups=config.num_attention_heads // config.num_key_value_heads,
            head_dim=first.head_dim,
            context=config.max_position_embeddings,
            dtype=embed_weight.dtype,
            device=embed_weight.device,
        )


class MistralFamily(LlamaFamily):
    """Mistral: one sliding window for all layers, or none."""

    model_types: ClassVar[frozenset[str]] = frozenset({"mistral"})

    def windows(self, model: PreTrainedModel) -> list[int | None]:
        """Return the configured window for every layer."""
        return [model.config.sliding_window] * len(model.model.layers)


class Qwen2Family(LlamaFamily):
    """Qwen2: biased projections, and windows on the layers that the config names."""

    model_types: ClassVar[frozenset[str]] = frozenset({"qwen2"})

    def windows(self, model: PreTrainedModel) -> list[int | None]:
        """Return the window of layers of type ``sliding_attention``."""
        config = model.config
        return [
            config.sliding_window if kind == "sliding_attention" else None
            for kind in config.layer_types
        ]


class Qwen3Family(Qwen2Family):
    """Qwen3: as Qwen2, with norms on the heads of queries and keys."""

    model_types: ClassVar[frozenset[str]] = frozenset({"qwen3"})


class LlamaLayer:
    """One decoder layer: attention on the slot cache, then the gated feed-forward part."""

    def __init__(self, layer: Any, window: int | None, *, owned: bool) -> None:
        """Take the weights of a transformers decoder layer."""
        attention, mlp = layer.self_attn, layer.mlp
        self._window = window
        self._head_dim = attention.head_dim
        self._scale = attention.scaling
        self._kv_heads = attention.k_proj.out_features // attention.head_dim
        self._heads = attention.q_proj.out_features // attention.head_dim
        self._norm = _norm_of(layer.input_layernorm)
        self._qkv = Projection([attention.q_proj, attention.k_proj, attention.v_proj], owned=owned)
        self._head_norm = _head_norm(attention, self._heads, self._kv_heads)
        self._out = Projection([attention.o_proj], owned=owned)
        self._mlp_norm = _norm_of(layer.post_attention_layernorm)
        self._gate_up = Projection([mlp.gate_proj, mlp.up_proj], owned=owned)
        self._down = Projection([mlp.down_proj], owned=owned)
        self._activate = mlp.act_fn

    def __call__(self, hidden: Tensor, cache: SlotCache, index: int, shared: Pass) -> Tensor:
        """Return the hidden states after this layer; writes its keys and values."""
        batch, length, _ = hidden.shape
        heads = self._qkv(self._norm(hidden)).view(batch, length, -1, self._head_dim)
        turning = heads[:, :, : self._heads + self._kv_heads]
        if self._head_norm is not None:
            turning = self._head_norm(turning)
        turned = shared.rotate(turning)
        key, value = cache.put(
            index,
            turned[:, :, self._heads :],
            heads[:, :, self._heads + self._kv_heads :],
            shared.placement,
        )
        attended = shared.attend(
            turned[:, :, : self._heads], key, value, scale=self._scale, window=self._window
        )
        hidden = hidden + self._out(attended)
        gate, up = self._gate_up(self._mlp_norm(hidden)).chunk(2, dim=-1)
        return hidden + self._down(self._activate(gate) * up)


def _norm_of(module: Any) -> RMSNorm:
    return RMSNorm(module.weight, module.variance_epsilon)


def _head_norm(attention: Any, heads: int, kv_heads: int) -> RMSNorm | None:
    """Return one norm for query and key heads side by side, or None where there is none."""
    if not hasattr(attention, "q_norm"):
        return None
    weights = [attention.q_norm.weight.detach()] * heads
    weights += [attention.k_norm.weight.detach()] * kv_heads
    return RMSNorm(torch.stack(weights), attention.q_norm.variance_epsilon)


def _rotary_table(rotary: Any, like: Tensor, positions: Tensor) -> RotaryTable:
    cos, sin = rotary(like, positions[None])
    return RotaryTable(cos[0], sin[0])


def _stock_mask(
    model: PreTrainedModel, hidden: Tensor, positions: Tensor, window: int | None
) -> Any:
    make = create_causal_mask if window is None else create_sliding_window_causal_mask
    return make(
        config=model.config,
        inputs_embeds=hidden,
        attention_mask=None,
        past_key_values=None,
        position_ids=positions,
    )

"""How StarCoder2 comes apart: layer norms, biases, grouped keys, an optional window.

The probe holds all of this against the model itself whenever one is loaded.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask

from specframe import Family, Projection, RotaryTable, Split
from specframe_starcoder2._layer import Starcoder2Layer

LENGTH_DEPENDENT = frozenset({"dynamic", "longrope"})


class Starcoder2Family(Family):
    """Split ``model.model.{embed_tokens, layers, norm, rotary_emb}`` and ``model.lm_head``."""

    model_types: ClassVar[frozenset[str]] = frozenset({"starcoder2"})

    def refusal(self, model: Any) -> str | None:
        """Refuse rotary positions that change with the length of the text."""
        kind = model.model.rotary_emb.rope_type
        if kind in LENGTH_DEPENDENT:
            return f"its rotary positions (rope_type '{kind}') make cached keys invalid later"
        return None

    def run_stock(
        self, model: Any, tokens: Int[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token vocab"]:
        """Run embedding, layers, norm and head as the model's own forward does."""
        body, places = model.model, torch.arange(tokens.shape[1], device=tokens.device)[None]
        hidden = body.embed_tokens(tokens)
        mask = _stock_mask(model.config, hidden, places)
        turns = body.rotary_emb(hidden, position_ids=places)
        for layer in body.layers:
            hidden = layer(
                hidden, attention_mask=mask, position_ids=places, position_embeddings=turns
            )
        logits: Tensor = model.lm_head(body.norm(hidden))
        return logits

    def split(self, model: Any, *, owned: bool) -> Split:
        """Return layers on the slot cache, projections fused where the engine owns the weights."""
        body, config = model.model, model.config
        weight = body.embed_tokens.weight
        is_tied = model.lm_head.weight is weight
        layers = [_layer(module, config.sliding_window, owned=owned) for module in body.layers]
        return Split(
            layers=layers,
            embed=body.embed_tokens,
            norm=body.norm,
            head=Projection([model.lm_head], owned=owned, keep=is_tied),
            rotary=lambda positions: _table(body.rotary_emb, weight, positions),
            hidden_size=config.hidden_size,
            vocab_size=config.vocab_size,
            kv_heads=layers[0].kv_heads,
            groups=layers[0].heads // layers[0].kv_heads,
            head_dim=layers[0].head_dim,
            context=config.max_position_embeddings,
            dtype=weight.dtype,
            device=weight.device,
        )


def _layer(module: Any, window: int | None, *, owned: bool) -> Starcoder2Layer:
    attention, mlp = module.self_attn, module.mlp
    heads = (attention.q_proj, attention.k_proj, attention.v_proj)
    widths = [projection.out_features // attention.head_dim for projection in heads]
    return Starcoder2Layer(
        attend_norm=module.input_layernorm,
        project=Projection(heads, owned=owned),
        out=Projection([attention.o_proj], owned=owned),
        feed_norm=module.post_attention_layernorm,
        up=Projection([mlp.c_fc], owned=owned),
        activate=mlp.act,
        down=Projection([mlp.c_proj], owned=owned),
        heads=widths[0],
        kv_heads=widths[1],
        head_dim=attention.head_dim,
        window=window,
    )


def _table(rotary: Any, like: Tensor, positions: Int[Tensor, " position"]) -> RotaryTable:
    cos, sin = rotary(like, positions[None])
    return RotaryTable(cos[0], sin[0])


def _stock_mask(config: Any, hidden: Tensor, places: Tensor) -> Any:
    make = (
        create_causal_mask if config.sliding_window is None else create_sliding_window_causal_mask
    )
    return make(
        config=config,
        inputs_embeds=hidden,
        attention_mask=None,
        past_key_values=None,
        position_ids=places,
    )

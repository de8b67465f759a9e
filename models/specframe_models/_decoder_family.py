"""How decoder-only models split; the families say what differs between architectures.

The stock forward and the split are here once; attention, feed-forward parts and layers are values
(``_blocks.py``), and one file an architecture says what differs: where its norms are, how its heads
are laid out, what it scales. Layers of one model may differ in window and rotary table
(``LayerKind``). Learned positions are the engine's to add, before layer 0, so that a drafter that
skips layers keeps them. Scores are capped by an explicit product of queries and keys, since SDPA
cannot.
"""

from __future__ import annotations

import abc
from typing import Any

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor

from specframe import Family, Projection, RMSNorm, RotaryTable, Split
from specframe_models._blocks import DecoderLayer, LayerKind, Map

LENGTH_DEPENDENT_ROPE = frozenset({"dynamic", "longrope"})
KNOWN_LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})


@attrs.frozen(eq=False)
class Modules:
    """Hold a transformers model's own modules; ``rotary`` is None if positions are learned."""

    embed: Any
    layers: Any
    norm: Any
    head: Any
    rotary: Any = None


class DecoderFamily(Family):
    """Run embedding, layers, norm and head one after another.

    A family says where its modules are (``parts``) and what a layer is made of (``layer``); the
    other methods have defaults that hold for most architectures.
    """

    @abc.abstractmethod
    def parts(self, model: Any) -> Modules:
        """Return the model's modules."""

    @abc.abstractmethod
    def layer(self, module: Any, kind: LayerKind, *, owned: bool) -> DecoderLayer:
        """Return a transformers decoder layer on the slot cache."""

    def kinds(self, model: Any) -> list[LayerKind]:
        """Return the kind of each layer."""
        return [LayerKind() for _ in self.parts(model).layers]

    def embed(self, model: Any) -> Map:
        """Return the look-up of tokens, scaling included."""
        embed: Map = self.parts(model).embed
        return embed

    def positions(self, model: Any) -> Map | None:
        """Return the look-up of learned positions, or None."""
        return None

    def rotary(
        self, model: Any, like: Tensor, positions: Tensor, kind: str | None
    ) -> tuple[Tensor, Tensor] | None:
        """Return cos and sin of positions in the dtype of ``like``, for one kind of layer."""
        rotary = self.parts(model).rotary
        if rotary is None:
            return None
        cos, sin = rotary(like, positions) if kind is None else rotary(like, positions, kind)
        return cos, sin

    def norm(self, module: Any) -> Map:
        """Return a norm of the model in the engine's form."""
        return RMSNorm(module.weight, module.variance_epsilon)

    def finish(self, config: Any, logits: Tensor) -> Tensor:
        """Scale or cap the head's logits."""
        return logits

    def refusal(self, model: Any) -> str | None:
        """Refuse positions that change with the length of the text, and unknown attention."""
        config = model.config.get_text_config()
        unknown = set(getattr(config, "layer_types", None) or ()) - KNOWN_LAYER_TYPES
        if unknown:
            return f"its layers of type '{min(unknown)}' are neither full nor sliding attention"
        if getattr(config, "use_bidirectional_attention", False):
            return "its tokens see later ones too (use_bidirectional_attention)"
        for rope in _rope_types(self.parts(model).rotary) & LENGTH_DEPENDENT_ROPE:
            return (
                f"its rotary positions (rope_type '{rope}') change with the length of the "
                "sequence, so that cached keys would not stay valid"
            )
        return None

    def run_stock(
        self, model: Any, tokens: Int[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token vocab"]:
        """Run embedding, layers, norm and head as the model's own forward does."""
        parts, kinds, config = self.parts(model), self.kinds(model), model.config.get_text_config()
        places = torch.arange(tokens.shape[1], device=tokens.device)[None]
        hidden = self.embed(model)(tokens)
        learned = self.positions(model)
        if learned is not None:
            hidden = hidden + learned(places)
        windows = {kind.window for kind in kinds}
        masks = {window: _stock_mask(config, hidden, places, window) for window in windows}
        tables = {kind.rotary for kind in kinds}
        rotary = {name: self.rotary(model, hidden, places, name) for name in tables}
        for layer, kind in zip(parts.layers, kinds, strict=True):
            hidden = layer(
                hidden,
                attention_mask=masks[kind.window],
                position_ids=places,
                position_embeddings=rotary[kind.rotary],
            )
        return self.finish(config, parts.head(parts.norm(hidden)))

    def split(self, model: Any, *, owned: bool) -> Split:
        """Return layers with fused weights if the engine owns them, else with plain ones."""
        parts, kinds, config = self.parts(model), self.kinds(model), model.config.get_text_config()
        weight = parts.embed.weight
        head = Projection([parts.head], owned=owned, keep=parts.head.weight is weight)
        layers = [
            self.layer(layer, kind, owned=owned)
            for layer, kind in zip(parts.layers, kinds, strict=True)
        ]
        attend = layers[0].attend
        return Split(
            layers=layers,
            embed=self.embed(model),
            norm=self.norm(parts.norm),
            head=lambda normed: self.finish(config, head(normed)),
            rotary=lambda positions: self._tables(model, weight, positions),
            hidden_size=weight.shape[1],
            vocab_size=parts.head.out_features,
            kv_heads=attend.kv_heads,
            groups=attend.heads // attend.kv_heads,
            head_dim=attend.head_dim,
            context=config.max_position_embeddings,
            dtype=weight.dtype,
            device=weight.device,
            positions=self.positions(model),
        )

    def _tables(
        self, model: Any, like: Tensor, positions: Int[Tensor, " position"]
    ) -> dict[str | None, RotaryTable]:
        tables = {}
        for name in {kind.rotary for kind in self.kinds(model)}:
            turns = self.rotary(model, like, positions[None], name)
            if turns is not None:
                tables[name] = RotaryTable(turns[0][0], turns[1][0])
        return tables


def _rope_types(rotary: Any) -> set[str]:
    types = getattr(rotary, "rope_type", None)
    if isinstance(types, dict):
        return set(types.values())
    return set() if types is None else {types}


def _stock_mask(config: Any, hidden: Tensor, positions: Tensor, window: int | None) -> Any:
    from transformers import masking_utils as masks  # noqa: PLC0415 (seconds, and there by now)

    whole, windowed = masks.create_causal_mask, masks.create_sliding_window_causal_mask
    make = whole if window is None else windowed
    return make(
        config=config,
        inputs_embeds=hidden,
        attention_mask=None,
        past_key_values=None,
        position_ids=positions,
    )

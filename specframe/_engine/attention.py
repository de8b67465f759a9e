"""Attention over a slot cache, with rotary positions: what target layers and adapters share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own abbreviation)

from specframe._engine.packing import packed, unpacked
from specframe._engine.placement import Placement

WIDE = 64  # tokens of one row from which on a mask for each group costs more than it saves


class RotaryTable:
    """Hold cos and sin of every position, ready to be applied with one roll.

    Rotary embedding (Su et al., arXiv 2104.09864) in the half-split layout of transformers:
    ``x * cos + concat(-x2, x1) * sin``; the sign is moved into ``sin``, so that the concatenation
    becomes a roll by half the table's width. A table narrower than a head turns the head's first
    part alone. Raises no error of specframe's.
    """

    def __init__(
        self, cos: Float[Tensor, "position width"], sin: Float[Tensor, "position width"]
    ) -> None:
        """Take the tables of transformers' rotary modules, one row for each position."""
        half = sin.shape[-1] // 2
        self._cos = cos[:, None].contiguous()  # [position, 1, width]
        self._sin = torch.cat([-sin[:, :half], sin[:, half:]], dim=-1)[:, None].contiguous()

    def rows(self, placement: Placement) -> tuple[Tensor, Tensor]:
        """Return cos and sin ``[batch or 1, token, 1, width]`` of the placed tokens, packed."""
        if placement.start is not None:
            rows = slice(placement.start, placement.start + placement.positions.shape[1])
            return self._cos[rows], self._sin[rows]
        positions = packed(placement.packing, placement.positions)
        return self._cos[positions], self._sin[positions]


Rotary = RotaryTable | Mapping[str | None, RotaryTable] | None
"""One table for all layers, one per kind of layer, or none."""


class Pass:
    """Hold what all layers of one pass share: placed tokens, rotary rows, attention masks.

    ``groups`` is the number of query heads per key head; masks are made for queries whose groups
    are packed into rows, so that keys and values are never expanded. ``rotary`` is one table, or
    maps kinds of layers to tables. Raises no error of specframe's.
    """

    def __init__(
        self, placement: Placement, rotary: Rotary, groups: int, dtype: torch.dtype
    ) -> None:
        """Look up the rotary rows once; masks are made on first use, one per window."""
        self.placement = placement
        self._groups = groups
        self._dtype = dtype
        tables = {None: rotary} if isinstance(rotary, RotaryTable) else rotary or {}
        self._rotary = {kind: table.rows(placement) for kind, table in tables.items()}
        self._masks: dict[tuple[int | None, bool, bool], Tensor | None] = {}

    def rotate(
        self, states: Float[Tensor, "batch token heads head_dim"], kind: str | None = None
    ) -> Float[Tensor, "batch token heads head_dim"]:
        """Apply the rotary embedding of each token's position, from the table of ``kind``.

        ``kind`` is a key of the pass's tables; None where there is one table.
        """
        if not self._rotary:
            return states
        cos, sin = self._rotary[kind]
        width = cos.shape[-1]
        if width < states.shape[-1]:
            turned = _turn(states[..., :width], cos, sin)
            return torch.cat([turned, states[..., width:]], dim=-1)
        return _turn(states, cos, sin)

    def attend(  # noqa: PLR0913 (three options that most layers leave out)
        self,
        query: Float[Tensor, "rows token heads head_dim"],
        key: Float[Tensor, "batch kv_heads reach head_dim"],
        value: Float[Tensor, "batch kv_heads reach head_dim"],
        *,
        scale: float | None = None,
        window: int | None = None,
        softcap: float | None = None,
    ) -> Float[Tensor, "rows token width"]:
        """Attend over the cached keys; the answer has a token's heads side by side.

        Queries are packed if the placement has a packing, and so is the answer. ``scale`` defaults
        to head_dim ** -0.5; ``window`` lets a token see that many positions, its own included;
        ``softcap`` bounds the scaled scores by tanh before the mask, which costs an explicit
        product of queries and keys.
        """
        packing = self.placement.packing
        if packing is None and softcap is None and query.shape[1] == 1:
            return self._attend_singly(query, key, value, scale, window)
        query = unpacked(packing, query)
        if query.shape[0] == 1 and query.shape[1] >= WIDE and softcap is None:
            return self._attend_widely(query, key, value, scale, window)
        mask = self._mask(window, spelt_out=softcap is not None)
        # Flags instead of masks need one query row per token, so groups cannot be packed there.
        if mask is None and self.placement.causal:
            return self._attend_causally(query, key, value, scale)
        rows = _in_rows(query, key.shape[1])
        if softcap is None:
            attended = F.scaled_dot_product_attention(rows, key, value, attn_mask=mask, scale=scale)
        else:
            scaled = rows * (rows.shape[-1] ** -0.5 if scale is None else scale)
            attended = _attend_capped(scaled, key, value, mask, softcap)
        return packed(packing, _by_token(attended, query.shape[1]))

    def _attend_singly(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float | None, window: int | None
    ) -> Tensor:
        """Attend for one token of each row: its heads are in groups already."""
        batch, kv_heads, _, head_dim = key.shape
        mask = self._mask(window)
        rows = query.view(batch, kv_heads, -1, head_dim)
        attended = F.scaled_dot_product_attention(rows, key, value, attn_mask=mask, scale=scale)
        return attended.reshape(batch, 1, -1)

    def _attend_widely(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float | None, window: int | None
    ) -> Tensor:
        """Attend for many tokens of one row: groups share a mask with one row for each token.

        Packed into rows, the groups of a chunk of a long prompt would need a mask each.
        """
        _, length, heads, head_dim = query.shape
        groups = heads // key.shape[1]
        mask = self._mask(window, grouped=False)
        attended = F.scaled_dot_product_attention(
            query.view(length, -1, groups, head_dim).permute(1, 2, 0, 3),
            key[0, :, None].expand(-1, groups, -1, -1),
            value[0, :, None].expand(-1, groups, -1, -1),
            attn_mask=mask,
            is_causal=mask is None and self.placement.causal,
            scale=scale,
        )
        return attended.permute(2, 0, 1, 3).reshape(1, length, -1)

    def _attend_causally(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float | None
    ) -> Tensor:
        attended = F.scaled_dot_product_attention(
            query.transpose(1, 2),
            key,
            value,
            is_causal=True,
            scale=scale,
            enable_gqa=query.shape[2] != key.shape[1],
        )
        return attended.transpose(1, 2).flatten(2)

    def _mask(
        self, window: int | None, *, spelt_out: bool = False, grouped: bool = True
    ) -> Tensor | None:
        key = window, spelt_out, grouped
        if key not in self._masks:
            groups = self._groups if grouped else 1
            self._masks[key] = self._make_mask(window, groups, spelt_out=spelt_out)
        return self._masks[key]

    def _make_mask(self, window: int | None, groups: int, *, spelt_out: bool) -> Tensor | None:
        """Return an additive mask ``[batch, 1, group * token, reach]``, or None if not needed.

        ``spelt_out``: the placement's ``causal`` flag becomes a mask too.
        """
        visible = visible_in_window(self.placement, window)
        if visible is None and spelt_out and self.placement.causal:
            visible = _causal(self.placement)
        if visible is None:
            return None
        if groups > 1:
            visible = visible.repeat(1, groups, 1)
        mask = torch.zeros(visible.shape, dtype=self._dtype, device=visible.device)
        return mask.masked_fill_(~visible, float("-inf"))[:, None]


def _in_rows(query: Tensor, kv_heads: int) -> Tensor:
    """Return queries as ``[batch, kv_heads, group * token, head_dim]``."""
    batch, length, heads, head_dim = query.shape
    grouped = query.view(batch, length, kv_heads, heads // kv_heads, head_dim)
    return grouped.permute(0, 2, 3, 1, 4).reshape(batch, kv_heads, -1, head_dim)


def _by_token(attended: Tensor, length: int) -> Tensor:
    """Undo ``_in_rows``, with a token's heads side by side."""
    batch, kv_heads, rows, head_dim = attended.shape
    grouped = attended.view(batch, kv_heads, rows // length, length, head_dim)
    return grouped.permute(0, 3, 1, 2, 4).reshape(batch, length, -1)


def _turn(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    rolled = states.roll(states.shape[-1] // 2, -1)
    turned = (states * cos).addcmul_(rolled, sin)
    return turned if turned.dtype == states.dtype else turned.to(states.dtype)


def _attend_capped(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, softcap: float
) -> Tensor:
    """Attend with scores bounded to ``softcap`` (Gemma 2, arXiv 2408.00118, section 2)."""
    scores = torch.tanh(query @ key.transpose(-1, -2) / softcap) * softcap
    if mask is not None:
        scores += mask
    wide = torch.promote_types(scores.dtype, torch.float32)
    return scores.softmax(dim=-1, dtype=wide).to(value.dtype) @ value


def visible_in_window(placement: Placement, window: int | None) -> Tensor | None:
    """Return which slots each token sees ``[batch, token, reach]``; None: what ``causal`` says.

    A window lets a token see its own and the ``window`` - 1 positions before it.
    """
    if window is None or placement.reach <= window:
        return placement.visible
    keys = placement.key_positions
    if keys is None:
        keys = torch.arange(placement.reach, device=placement.positions.device)[None]
    near = keys[:, None] > placement.positions[..., None] - window
    visible = _causal(placement) if placement.visible is None else placement.visible
    return visible & near


def _causal(placement: Placement) -> Tensor:
    keys = torch.arange(placement.reach, device=placement.positions.device)
    return keys <= placement.positions[..., None]

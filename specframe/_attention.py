"""Attention over a slot cache, with rotary positions: what target layers and adapters share."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own abbreviation)

from specframe._placement import Placement


class RotaryTable:
    """Hold cos and sin of every position, ready to be applied with one roll.

    Rotary embedding (Su et al., arXiv 2104.09864) in the half-split layout of transformers:
    ``x * cos + concat(-x2, x1) * sin``; the sign is moved into ``sin``, so that the concatenation
    becomes a roll by half a head.
    """

    def __init__(
        self, cos: Float[Tensor, "position head_dim"], sin: Float[Tensor, "position head_dim"]
    ) -> None:
        """Take the tables of transformers' rotary modules, one row a position."""
        half = sin.shape[-1] // 2
        self._cos = cos[:, None].contiguous()  # [position, 1, head_dim]
        self._sin = torch.cat([-sin[:, :half], sin[:, half:]], dim=-1)[:, None].contiguous()

    def rows(self, placement: Placement) -> tuple[Tensor, Tensor]:
        """Return cos and sin ``[batch or 1, token, 1, head_dim]`` of the placed tokens."""
        if placement.start is not None:
            rows = slice(placement.start, placement.start + placement.positions.shape[1])
            return self._cos[rows], self._sin[rows]
        return self._cos[placement.positions], self._sin[placement.positions]


class Pass:
    """Hold what all layers of one pass share: placed tokens, rotary rows, attention masks.

    ``groups`` is the number of query heads per key head; masks are made for queries whose groups
    are packed into rows, so that keys and values are never expanded.
    """

    def __init__(
        self, placement: Placement, rotary: RotaryTable | None, groups: int, dtype: torch.dtype
    ) -> None:
        """Look up the rotary rows once; masks are made on first use, one per window."""
        self.placement = placement
        self._groups = groups
        self._dtype = dtype
        self._rotary = rotary.rows(placement) if rotary else None
        self._masks: dict[int | None, Tensor | None] = {}

    def rotate(
        self, states: Float[Tensor, "batch token heads head_dim"]
    ) -> Float[Tensor, "batch token heads head_dim"]:
        """Apply the rotary embedding of each token's position."""
        if self._rotary is None:
            return states
        cos, sin = self._rotary
        return torch.addcmul(states * cos, states.roll(states.shape[-1] // 2, -1), sin)

    def attend(
        self,
        query: Float[Tensor, "batch token heads head_dim"],
        key: Float[Tensor, "batch kv_heads reach head_dim"],
        value: Float[Tensor, "batch kv_heads reach head_dim"],
        *,
        scale: float | None = None,
        window: int | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Attend over the cached keys; a token's heads stand side by side in the answer."""
        batch, length, heads, head_dim = query.shape
        kv_heads, groups = key.shape[1], heads // key.shape[1]
        mask = self._mask(window)
        # Flags instead of masks need one query row per token, so groups cannot be packed there.
        if mask is None and self.placement.causal:
            return self._attend_causally(query, key, value, scale)
        packed = query.view(batch, length, kv_heads, groups, head_dim).permute(0, 2, 3, 1, 4)
        attended = F.scaled_dot_product_attention(
            packed.reshape(batch, kv_heads, groups * length, head_dim),
            key,
            value,
            attn_mask=mask,
            scale=scale,
        )
        unpacked = attended.view(batch, kv_heads, groups, length, head_dim).permute(0, 3, 1, 2, 4)
        return unpacked.reshape(batch, length, heads * head_dim)

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

    def _mask(self, window: int | None) -> Tensor | None:
        if window not in self._masks:
            self._masks[window] = self._make_mask(window)
        return self._masks[window]

    def _make_mask(self, window: int | None) -> Tensor | None:
        """Return an additive mask ``[batch, 1, group * token, reach]``, or None if not needed."""
        visible = visible_in_window(self.placement, window)
        if visible is None:
            return None
        packed = visible.repeat(1, self._groups, 1)[:, None]
        mask = torch.zeros(packed.shape, dtype=self._dtype, device=packed.device)
        return mask.masked_fill_(~packed, float("-inf"))


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
    visible = placement.visible
    if visible is None:
        visible = keys[:, None] <= placement.positions[..., None]
    return visible & near

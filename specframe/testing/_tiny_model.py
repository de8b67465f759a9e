"""A target of a few random layers on the real cache and attention, in float64, without files.

Two query heads share a key head and one layer has a window: what is misplaced in the cache or let
through by a mask changes a state by far more than rounding does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from specframe import Pass, RotaryTable, SlotCache, Split
from specframe._engine.engine import LayerEngine

HEADS, KV_HEADS, HEAD_DIM, WIDTH, VOCAB = 4, 2, 4, 8, 11
WINDOWS = (None, 4, None)  # one a layer


def rotary_rows(positions: Tensor) -> tuple[Tensor, Tensor]:
    """Return cos and sin of rotary embedding, half-split layout, base 100."""
    rates = 100.0 ** (-torch.arange(0, HEAD_DIM, 2, dtype=torch.float64) / HEAD_DIM)
    angles = positions.double()[:, None] * rates
    both = torch.cat([angles, angles], dim=-1)
    return both.cos(), both.sin()


class TinyLayer:
    """Add an attention block and a small non-linear map to the states."""

    def __init__(self, window: int | None, seed: int) -> None:
        """Make random weights."""
        generator = torch.Generator().manual_seed(seed)

        def weight(rows: int, columns: int) -> Tensor:
            noise = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
            scaled: Tensor = noise * 1.5 / columns**0.5
            return scaled

        self.window = window
        self.qkv = weight((HEADS + 2 * KV_HEADS) * HEAD_DIM, WIDTH)
        self.out, self.mix = weight(WIDTH, HEADS * HEAD_DIM), weight(WIDTH, WIDTH)

    def heads(self, hidden: Tensor) -> tuple[Tensor, ...]:
        """Return query, key and value heads."""
        batch_and_tokens = hidden.shape[:-1]
        heads = (hidden.tanh() @ self.qkv.T).view(*batch_and_tokens, -1, HEAD_DIM)
        return torch.split(heads, [HEADS, KV_HEADS, KV_HEADS], dim=-2)

    def after(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """Return the states after the layer."""
        hidden = hidden + attended @ self.out.T
        return hidden + (hidden @ self.mix.T).tanh()

    def __call__(self, hidden: Tensor, cache: SlotCache, index: int, shared: Pass) -> Tensor:
        """Run the layer on placed tokens."""
        query, key, value = self.heads(hidden)
        keys, values = cache.put(index, shared.rotate(key), value, shared.placement)
        attended = shared.attend(shared.rotate(query), keys, values, window=self.window)
        return self.after(hidden, attended)


class TinyModel:
    """Hold the layers; ``engine`` runs them on a cache, ``logits`` says what must come out.

    Raises no error of specframe's.
    """

    vocab = VOCAB

    def __init__(self) -> None:
        """Make the same random weights each time."""
        generator = torch.Generator().manual_seed(7)
        self.table = torch.randn(VOCAB, WIDTH, generator=generator, dtype=torch.float64)
        self.layers = [TinyLayer(window, seed) for seed, window in enumerate(WINDOWS)]
        self._known: dict[tuple[int, ...], list[float]] = {}

    def __repr__(self) -> str:
        return "TinyModel()"

    @property
    def weights(self) -> list[Tensor]:
        """Return all weights, to see that nobody wrote to them."""
        return [
            self.table,
            *(w for layer in self.layers for w in (layer.qkv, layer.out, layer.mix)),
        ]

    def engine(self) -> LayerEngine:
        """Return an engine with its own cache."""
        return LayerEngine(
            Split(
                layers=self.layers,
                embed=lambda tokens: self.table[tokens],
                norm=lambda hidden: hidden,
                head=lambda hidden: hidden @ self.table.T,
                rotary=lambda positions: RotaryTable(*rotary_rows(positions)),
                hidden_size=WIDTH,
                vocab_size=VOCAB,
                kv_heads=KV_HEADS,
                groups=HEADS // KV_HEADS,
                head_dim=HEAD_DIM,
                context=10_000,
                dtype=torch.float64,
                device=torch.device("cpu"),
            )
        )

    def logits(self, tokens: Sequence[int]) -> list[float]:
        """Return the logits after a sequence, one for each token, by a prefill of a fresh cache."""
        known = tuple(tokens)
        if known not in self._known:
            engine = self.engine()
            engine.open(1, len(known))
            last = engine.fill(0, list(known)).last
            self._known[known] = engine.logits(engine.norm(last[None]))[0, 0].tolist()
        return self._known[known]

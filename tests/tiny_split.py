"""A model of a few random layers on the real cache and attention, and its textbook definition.

Two query heads share a key head, one layer has a window, and the weights are float64: whatever is
misplaced in the cache or let through by a mask changes a state by far more than rounding does.
"""

import torch

from specframe import RotaryTable, Split
from specframe._engine import LayerEngine

HEADS, KV_HEADS, HEAD_DIM, WIDTH, VOCAB = 4, 2, 4, 8, 11
WINDOWS = (None, 4, None)  # one a layer


def rotary_rows(positions):
    """Return cos and sin of rotary embedding, half-split layout, base 100."""
    rates = 100.0 ** (-torch.arange(0, HEAD_DIM, 2, dtype=torch.float64) / HEAD_DIM)
    angles = positions.double()[:, None] * rates
    both = torch.cat([angles, angles], dim=-1)
    return both.cos(), both.sin()


def textbook_rotation(states, positions):
    """Turn each pair (i, i + half) of ``[token, heads, head_dim]`` by its own angle, one by one."""
    turned = states.clone()
    half = HEAD_DIM // 2
    for token, position in enumerate(positions):
        for i in range(half):
            angle = torch.tensor(position * 100.0 ** (-2 * i / HEAD_DIM), dtype=torch.float64)
            x, y = states[token, :, i], states[token, :, i + half]
            turned[token, :, i] = x * angle.cos() - y * angle.sin()
            turned[token, :, i + half] = y * angle.cos() + x * angle.sin()
    return turned


def textbook_attention(query, key, value, sees, scale=HEAD_DIM**-0.5, softcap=None):
    """Attend token by token and head by head; ``sees[t]`` lists the key indices token t sees."""
    out = torch.zeros_like(query)
    groups = query.shape[1] // key.shape[1]
    for token, seen in enumerate(sees):
        for head in range(query.shape[1]):
            keys, values = key[seen, head // groups], value[seen, head // groups]
            scores = keys @ query[token, head] * scale
            if softcap is not None:
                scores = softcap * (scores / softcap).tanh()
            out[token, head] = scores.softmax(dim=0) @ values
    return out.flatten(1)


class TinyLayer:
    """Add an attention block and a small non-linear map to the states."""

    def __init__(self, window, seed):
        generator = torch.Generator().manual_seed(seed)

        def weight(rows, columns):
            noise = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
            return noise * 1.5 / columns**0.5

        self.window = window
        self.qkv = weight((HEADS + 2 * KV_HEADS) * HEAD_DIM, WIDTH)
        self.out, self.mix = weight(WIDTH, HEADS * HEAD_DIM), weight(WIDTH, WIDTH)

    def heads(self, hidden):
        heads = (hidden.tanh() @ self.qkv.T).unflatten(-1, (-1, HEAD_DIM))
        return heads.split([HEADS, KV_HEADS, KV_HEADS], dim=-2)

    def after(self, hidden, attended):
        hidden = hidden + attended @ self.out.T
        return hidden + (hidden @ self.mix.T).tanh()

    def __call__(self, hidden, cache, index, shared):
        query, key, value = self.heads(hidden)
        keys, values = cache.put(index, shared.rotate(key), value, shared.placement)
        attended = shared.attend(shared.rotate(query), keys, values, window=self.window)
        return self.after(hidden, attended)


class TinyModel:
    """Hold the layers; ``engine`` runs them on a cache, ``states`` says what must come out."""

    def __init__(self):
        generator = torch.Generator().manual_seed(7)
        self.table = torch.randn(VOCAB, WIDTH, generator=generator, dtype=torch.float64)
        self.layers = [TinyLayer(window, seed) for seed, window in enumerate(WINDOWS)]

    def engine(self, positions=None):
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
                positions=positions,
            )
        )

    def states(self, tokens):
        """Return for each layer what it writes and gives: rotated keys, values, states after it."""
        hidden, positions = self.table[torch.tensor(tokens)], range(len(tokens))
        answers = []
        for layer in self.layers:
            query, key, value = layer.heads(hidden)
            query, key = (textbook_rotation(part, positions) for part in (query, key))
            reach = layer.window or len(tokens)
            sees = [list(range(max(0, at - reach + 1), at + 1)) for at in positions]
            hidden = layer.after(hidden, textbook_attention(query, key, value, sees))
            answers.append((key, value, hidden))
        return answers

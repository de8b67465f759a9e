"""The textbook definition of what the conformance kit's tiny model computes."""

import torch

from specframe import testing
from specframe.testing._tiny_model import HEAD_DIM, HEADS, KV_HEADS, VOCAB, rotary_rows

__all__ = [
    "HEADS",
    "HEAD_DIM",
    "KV_HEADS",
    "VOCAB",
    "TinyModel",
    "rotary_rows",
    "textbook_attention",
    "textbook_rotation",
]


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


class TinyModel(testing.TinyModel):
    """Say what the layers must give, token by token and head by head."""

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

"""What a round computes: scores, the verdict on a draft, the commit that is left of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import attrs
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from specframe._transfer import Reading


@attrs.frozen(eq=False)
class Captured:
    """Hold what a drafter's ``needs`` asked for, of a prefill or of one draft's nodes.

    ``taps`` maps a layer to the hidden states after that many layers; ``normed`` is the last one
    after the final norm. Rows of a prefill are padded at the end to the longest prompt; its
    ``logits``, those behind the first new token, are there if the caller wants logits.
    """

    taps: Mapping[int, Float[Tensor, "batch token hidden"]] = attrs.field(factory=dict)
    normed: Float[Tensor, "batch token hidden"] | None = None
    logits: Float[Tensor, "batch 1 vocab"] | None = None


@attrs.frozen(eq=False)
class Scores:
    """Hold the target's logits at every node of a draft."""

    logits: Float[Tensor, "batch node vocab"]
    captured: Captured = attrs.field(factory=Captured)

    @cached_property
    def best(self) -> tuple[Float[Tensor, "batch node"], Int[Tensor, "batch node"]]:
        """Return the largest logit at each node and its token, the lowest id where several tie.

        They are on the host, and the one thing that a greedy round waits for.
        """
        values, tokens = Reading(*self.logits.max(dim=-1)).wait()
        return values, tokens


@attrs.frozen(eq=False)
class Verdict:
    """Hold what a verifier decided: the accepted path and the token after it.

    ``path_lists`` are each row's accepted nodes from level 1 downwards, ``next_tokens`` the tokens
    behind them. ``choices`` is what the target says at each node. The tensors say the same as the
    lists, padded with 0 behind ``accepted``, for those who compute with it.
    """

    path_lists: list[list[int]]
    next_tokens: list[int]
    choices: Int[Tensor, "batch node"]

    @cached_property
    def path(self) -> Int[Tensor, "batch depth"]:
        """Return the accepted nodes; the first ``accepted`` of each row are real."""
        return _padded(self.path_lists)

    @cached_property
    def accepted(self) -> Int[Tensor, " batch"]:
        """Return how many nodes of each row were accepted."""
        return torch.tensor([len(path) for path in self.path_lists])

    @cached_property
    def next_token(self) -> Int[Tensor, " batch"]:
        """Return the token after each row's path."""
        return torch.tensor(self.next_tokens)


@attrs.frozen(eq=False)
class Commit:
    """Hold what EOS, stops and budget left of a verdict; nothing in it ever changes.

    ``token_lists`` are each row's new committed tokens, ``path_lists`` the drafted nodes behind
    them. Where a row is finished (``reasons``), the path may have been cut. The tensors say the
    same, padded with 0, for those who compute with it.
    """

    token_lists: list[list[int]]
    path_lists: list[list[int]]
    reasons: list[str | None]
    choices: Int[Tensor, "batch node"]
    logits: Float[Tensor, "batch new vocab"] | None = None

    @cached_property
    def tokens(self) -> Int[Tensor, "batch new"]:
        """Return the new tokens; the first ``counts`` of each row are real."""
        return _padded(self.token_lists)

    @cached_property
    def counts(self) -> Int[Tensor, " batch"]:
        """Return how many tokens each row got."""
        return torch.tensor([len(tokens) for tokens in self.token_lists])

    @cached_property
    def path(self) -> Int[Tensor, "batch depth"]:
        """Return the committed nodes; the first ``accepted`` of each row are real."""
        return _padded(self.path_lists)

    @cached_property
    def accepted(self) -> Int[Tensor, " batch"]:
        """Return how many of each row's tokens were drafted."""
        return torch.tensor([len(path) for path in self.path_lists])

    @cached_property
    def finished(self) -> Bool[Tensor, " batch"]:
        """Return which rows have ended."""
        return torch.tensor([reason is not None for reason in self.reasons])


def _padded(rows: list[list[int]]) -> Tensor:
    width = max(map(len, rows))
    padded = [row + [0] * (width - len(row)) for row in rows]
    return torch.tensor(padded, dtype=torch.long).view(len(rows), width)

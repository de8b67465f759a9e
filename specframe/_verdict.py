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

    ``path`` lists the accepted nodes from level 1 downwards, padded with 0 behind ``accepted``.
    ``choices`` is what the target says at each node.
    """

    path: Int[Tensor, "batch depth"]
    accepted: Int[Tensor, " batch"]
    next_token: Int[Tensor, " batch"]
    choices: Int[Tensor, "batch node"]

    @classmethod
    def of_paths(
        cls, paths: list[list[int]], next_tokens: list[int], choices: Int[Tensor, "batch node"]
    ) -> Verdict:
        """Build a verdict from one list of accepted nodes per row."""
        depth = max(map(len, paths))
        padded = [path + [0] * (depth - len(path)) for path in paths]
        device = choices.device
        return cls(
            torch.tensor(padded, dtype=torch.long, device=device).view(len(paths), depth),
            torch.tensor([len(path) for path in paths], device=device),
            torch.tensor(next_tokens, device=device),
            choices,
        )

    @cached_property
    def path_lists(self) -> list[list[int]]:
        """Return each row's accepted nodes, on the host."""
        counts = self.accepted.tolist()
        return [path[:count] for path, count in zip(self.path.tolist(), counts, strict=True)]


@attrs.frozen(eq=False)
class Commit:
    """Hold what EOS, stops and budget left of a verdict; nothing in it ever changes.

    ``tokens`` are the new committed tokens, ``counts`` how many of each row are real; ``path`` are
    the nodes behind them, ``accepted`` how many of them were drafted. Where a row is finished
    (``reasons``), the path may have been cut.
    """

    tokens: Int[Tensor, "batch new"]
    counts: Int[Tensor, " batch"]
    path: Int[Tensor, "batch depth"]
    accepted: Int[Tensor, " batch"]
    finished: Bool[Tensor, " batch"]
    reasons: list[str | None]
    choices: Int[Tensor, "batch node"]
    logits: Float[Tensor, "batch new vocab"] | None = None

    @classmethod
    def of_rows(
        cls,
        taken: list[list[int]],
        paths: list[list[int]],
        reasons: list[str | None],
        verdict: Verdict,
        logits: Float[Tensor, "batch some vocab"] | None,
    ) -> Commit:
        """Build a commit from each row's new tokens, the nodes behind them and why it ended.

        ``logits`` may go further than the tokens.
        """
        new, depth = max(map(len, taken)), max(map(len, paths))
        return cls(
            tokens=torch.tensor([tokens + [0] * (new - len(tokens)) for tokens in taken]),
            counts=torch.tensor([len(tokens) for tokens in taken]),
            path=torch.tensor(
                [path + [0] * (depth - len(path)) for path in paths], dtype=torch.long
            ).view(len(paths), depth),
            accepted=torch.tensor([len(path) for path in paths]),
            finished=torch.tensor([reason is not None for reason in reasons]),
            reasons=reasons,
            choices=verdict.choices,
            logits=None if logits is None else logits[:, :new],
        )

    @cached_property
    def token_lists(self) -> list[list[int]]:
        """Return each row's new tokens, on the host."""
        counts = self.counts.tolist()
        return [row[:count] for row, count in zip(self.tokens.tolist(), counts, strict=True)]

    @cached_property
    def path_lists(self) -> list[list[int]]:
        """Return each row's committed nodes, on the host."""
        counts = self.accepted.tolist()
        return [path[:count] for path, count in zip(self.path.tolist(), counts, strict=True)]

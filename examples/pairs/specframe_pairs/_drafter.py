"""A bigram model of the text itself, made anew for every row and drawn from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from specframe import (
    Capabilities,
    Captured,
    Draft,
    Drafter,
    Law,
    Nodes,
    Rows,
    Sampler,
    StopPolicy,
    Target,
    grow_chain,
)
from specframe_pairs._options import PairsOptions


class PairCounts:
    """Count what followed each token of one row; owned by the row's drafter."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._followers: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self._read = 0

    def read(self, tokens: list[int]) -> None:
        """Count the pairs that have come since the last call: committed tokens never change."""
        for token, follower in pairwise(tokens[max(0, self._read - 1) :]):
            self._followers[token][follower] += 1
        self._read = len(tokens)

    def after(self, token: int) -> Counter[int]:
        """Return how often each token followed ``token``."""
        return self._followers.get(token, Counter())


class PairsDrafter(Drafter):
    """Draft from q(x | y) = (count of x behind y + smoothing / V) / (count of y + smoothing).

    Where the verifier needs q (``rejection``), tokens are drawn from it and the core hands it over;
    else they are the likeliest under the target's own noise. ``grow_chain`` does both.
    """

    capabilities = Capabilities(sampling=True, shows=frozenset({"confidence", "probs", "entropy"}))

    def __init__(self, options: PairsOptions) -> None:
        """Note the options."""
        self._smoothing = options.smoothing
        self.most_levels = options.steps
        self._counts: list[PairCounts] = []

    def stop_settings(self) -> Mapping[str, object]:
        """Return the number of steps, which bounds every stop policy."""
        return {"steps": self.most_levels}

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        """Begin to count; ``propose`` reads the prompts."""
        self._target = target
        self._counts = [PairCounts() for _ in rows.active]

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Draft token by token until the stop policy or the room ends it in every row."""
        for row, counts in zip(rows.active, self._counts, strict=True):
            counts.read(row.tokens)
        tree = self._target.tree(rows)
        grow_chain(tree, rows, stop, sampler, self._look)
        return tree.draft(Law.IID if sampler.wants_q else Law.DETERMINISTIC)

    def keep(self, kept: list[int]) -> None:
        """Go on with the rows ``kept`` alone."""
        self._counts = [self._counts[place] for place in kept]

    def _look(self, nodes: Nodes) -> tuple[Float[Tensor, "batch vocab"], None]:
        """Return log q behind the newest token of each row; there is no state to show."""
        engine = self._target.engine
        mass = torch.full(
            (len(self._counts), engine.vocab_size), self._smoothing / engine.vocab_size
        )
        for row, (token,) in enumerate(nodes.tokens.tolist()):
            for follower, count in self._counts[row].after(token).items():
                mass[row, follower] += count
        return (mass / mass.sum(dim=-1, keepdim=True)).log().to(engine.device), None

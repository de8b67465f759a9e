"""Draft from the target's last hidden state alone: no layer runs, no cache is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from specframe import (
    Capabilities,
    Captured,
    Commit,
    Draft,
    Drafter,
    Law,
    Needs,
    Nodes,
    Rows,
    Sampler,
    Scores,
    StopPolicy,
    Target,
    grow_chain,
)
from specframe_heads._heads import Heads, load_heads
from specframe_heads._options import HeadsOptions


class HeadsDrafter(Drafter):
    """Draft a chain per row, each token from a head of its own.

    The state that the target chose the root from is the input of all heads; the verification of a
    draft computes the next one. The heads do not see each other's tokens.
    """

    capabilities = Capabilities(
        sampling=True, shows=frozenset({"confidence", "probs", "entropy", "hidden"})
    )
    needs = Needs(normed=True, prompt=True)

    def __init__(
        self, options: HeadsOptions, make: Callable[[Target], Heads] | None = None
    ) -> None:
        """Note the options; ``prepare`` reads the weights, or has them made for the target."""
        self._options = options
        self._make = make

    @classmethod
    def for_testing(cls, options: object | None = None) -> Self:
        """Return a drafter with random heads of the target's width."""
        assert options is None or isinstance(options, HeadsOptions)
        return cls(options or HeadsOptions(weights="none"), random_heads)

    def prepare(self, target: Target) -> None:
        """Read the heads, in the target's dtype and on its device."""
        engine = target.engine
        heads = (
            self._make(target)
            if self._make
            else load_heads(self._options.weights, engine.hidden_size)
        )
        self._heads = heads.requires_grad_(requires_grad=False).to(engine.device, engine.dtype)
        self.most_levels = len(heads.blocks)

    def stop_settings(self) -> Mapping[str, object]:
        """Return the threshold, and the number of heads."""
        return {"threshold": self._options.threshold, "steps": self.most_levels}

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        """Take the state behind each prompt's last token: the root was chosen from it."""
        self._target = target
        self._behind(captured, [row.prompt_length - 1 for row in rows.active])

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Draft token by token until the stop policy or the room ends it in every row."""
        ahead = self._heads(self._states)

        def look(nodes: Nodes) -> tuple[Tensor, Tensor]:
            state = ahead[:, nodes.first]  # in a chain, a node's id is its level
            return self._target.logits(state[:, None])[:, 0], state

        tree = self._target.tree(rows)
        grow_chain(tree, rows, stop, sampler, look)
        return tree.draft(Law.IID if sampler.wants_q else Law.DETERMINISTIC)

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        """Take the state behind the last accepted node: the next root was chosen from it."""
        self._behind(scores.captured, [path[-1] if path else 0 for path in commit.path_lists])

    def keep(self, kept: list[int]) -> None:
        """Go on with the rows ``kept`` alone."""
        self._states = self._states[kept]

    def _behind(self, captured: Captured, places: list[int]) -> None:
        """Keep one captured state of each row."""
        assert captured.normed is not None  # ``needs`` asked for it
        self._states: Float[Tensor, "batch hidden"] = captured.normed[range(len(places)), places]


def random_heads(target: Target) -> Heads:
    """Return heads that disagree with the target now and then, the same ones each time."""
    heads = Heads(3, target.engine.hidden_size)
    generator = torch.Generator().manual_seed(0)
    for weight in heads.parameters():
        nn.init.normal_(weight, generator=generator)
    return heads

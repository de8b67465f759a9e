"""Draft with a smaller model: it reads what is committed and continues alone for some tokens.

Papers: Leviathan et al., ICML 2023, "Fast Inference from Transformers via Speculative Decoding";
Chen et al., 2023, "Accelerating Large Language Model Decoding with Speculative Sampling".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from specframe import (
    Capabilities,
    Captured,
    Commit,
    Draft,
    Drafter,
    Law,
    Nodes,
    Rows,
    Sampler,
    Scores,
    StopPolicy,
    Target,
    grow_chain,
    to_device,
)
from specframe_draft_model._cached_model import CachedModel
from specframe_draft_model._options import DraftModelOptions


class ModelDrafter(Drafter):
    """Draft a chain per row with a causal language model that has a cache of its own.

    The last drafted token is never read, so after a full acceptance the cache lags by two
    positions; a row that could not draft lags further. What is missing is read with the next root.
    """

    capabilities = Capabilities(
        sampling=True, shows=frozenset({"confidence", "probs", "entropy", "hidden"})
    )

    def __init__(
        self, options: DraftModelOptions, make: Callable[[Target], CachedModel] | None = None
    ) -> None:
        """Note the options; ``prepare`` loads the model, or has one made for the target."""
        self._options = options
        self._make = make
        self.most_levels = options.steps

    @classmethod
    def for_testing(cls, options: object | None = None) -> Self:
        """Return a drafter whose model agrees with the target now and then."""
        assert options is None or isinstance(options, DraftModelOptions)
        return cls(options or DraftModelOptions(model="none"), Wayward)

    def prepare(self, target: Target) -> None:
        """Load the model, in the target's dtype and on its device."""
        self._model = self._make(target) if self._make else self._opened(target)

    def stop_settings(self) -> Mapping[str, object]:
        """Return the threshold, 0 where there is none, and the number of steps."""
        return {"threshold": self._options.threshold or 0.0, "steps": self.most_levels}

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        """Let the model read the prompts."""
        self._target = target
        self._model.open([row.tokens[:-1] for row in rows.active], target.slots)

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Draft token by token until the stop policy or the room ends it in every row."""
        tree = self._target.tree(rows, self._model.levels(rows.lengths))
        grow_chain(tree, rows, stop, sampler, partial(self._look, rows, tree.rooms))
        return tree.draft(Law.IID if sampler.wants_q else Law.DETERMINISTIC)

    def discard(self, rows: Rows) -> None:
        """Forget what was drafted."""
        self._model.roll_back([length - 1 for length in rows.lengths])

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        """Forget what was drafted and not accepted."""
        self._model.roll_back([length - 1 for length in rows.lengths])

    def keep(self, kept: list[int]) -> None:
        """Continue with the rows ``kept`` alone."""
        self._model.keep(kept)

    def _opened(self, target: Target) -> CachedModel:
        options = self._options
        engine = target.open(
            options.model,
            trust_remote_code=options.trust_remote_code,
            revision=options.revision,
        )
        return CachedModel(engine, target.engine.vocab_size)

    def _look(self, rows: Rows, rooms: list[int], nodes: Nodes) -> tuple[Tensor, Tensor]:
        """Return the logits and the model's state after nodes; before the root, catch up."""
        if nodes.first:
            return self._model.read(nodes.tokens, [int(is_real) for is_real in nodes.active])
        unread = [
            row.tokens[held:] if room else []
            for row, held, room in zip(rows.active, self._model.held, rooms, strict=True)
        ]
        width = max(map(len, unread))
        aligned = [[0] * (width - len(tokens)) + tokens for tokens in unread]
        tokens = to_device(aligned, nodes.tokens.device)
        return self._model.read(tokens, list(map(len, unread)))


class Wayward(CachedModel):
    """The target's twin with a liking for some tokens: for tests, since it fits any target.

    It prefers other tokens often enough that every length of acceptance occurs.
    """

    def __init__(self, target: Target) -> None:
        """Share the target's weights, with a cache of its own."""
        super().__init__(target.engine.twin(), target.engine.vocab_size)
        generator = torch.Generator().manual_seed(0)
        self._liking = torch.randn(target.engine.vocab_size, generator=generator)

    def answer(
        self, state: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token vocab"]:
        """Return the target's logits, raised for the tokens that it likes."""
        logits = super().answer(state)
        liking = self._liking.to(logits)
        return logits + liking * logits.std(dim=-1, keepdim=True)

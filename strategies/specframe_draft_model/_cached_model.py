"""The draft model as drafting runs it: rows of different lengths on its own cache."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from specframe import Board, Engine

PADDING = 1  # the slot at the end of the cache that nothing sees


class CachedModel:
    """Read tokens after what each row holds, and answer in the target's vocabulary.

    A target with more tokens may say ids that the model does not have: they are read as its last.
    ``held`` says for how many positions each row has keys and values; the first of them are the
    committed tokens. Lowering it rolls back.
    """

    def __init__(self, engine: Engine, vocab_size: int) -> None:
        """Take an engine of its own, and the size of the target's head."""
        self.engine = engine
        self.held: list[int] = []
        self._vocab_size = vocab_size
        self._last_id = engine.vocab_size - 1
        self._board = Board(PADDING)

    def open(self, prompts: list[list[int]], slots: int) -> None:
        """Fill the cache with prompts, except those longer than the model's context."""
        slots = min(slots, self.engine.context + PADDING)
        if self._board.slots < slots:
            self._board = Board(slots, self.engine.device)
        self.engine.open(len(prompts), self._board.slots)
        self.held = [0] * len(prompts)
        for place, prompt in enumerate(prompts):
            if len(prompt) <= self.engine.context:
                self.engine.fill(place, [min(token, self._last_id) for token in prompt])
                self.held[place] = len(prompt)

    def levels(self, lengths: list[int]) -> list[int]:
        """Return how many tokens can be drafted after ``lengths`` tokens, the last one unread."""
        return [max(0, self.engine.context + 1 - length) for length in lengths]

    def read(
        self, tokens: Int[Tensor, "batch token"], counts: list[int]
    ) -> tuple[Float[Tensor, "batch vocab"], Float[Tensor, "batch hidden"]]:
        """Read each row's last ``counts[b]`` of ``tokens``; return the logits and state after them.

        The answer for a row that reads nothing means nothing.
        """
        placement = self._board.spans(self.held, counts)
        engine = self.engine
        entered = engine.embed(tokens.clamp(max=self._last_id))
        hidden, _ = engine.run(entered, placement, 0, engine.num_layers)
        self.held = [held + count for held, count in zip(self.held, counts, strict=True)]
        state = engine.norm(hidden[:, -1:])
        return self._sized(self.answer(state)[:, -1]), state[:, -1]

    def answer(
        self, state: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token vocab"]:
        """Return the model's logits, in its own vocabulary."""
        return self.engine.logits(state)

    def roll_back(self, lengths: list[int]) -> None:
        """Hold no more than the first ``lengths[b]`` positions of each row."""
        self.held = [min(pair) for pair in zip(self.held, lengths, strict=True)]

    def keep(self, kept: list[int]) -> None:
        """Continue with the rows ``kept`` alone."""
        self.held = [self.held[place] for place in kept]
        self.engine.keep(kept)

    def _sized(self, logits: Float[Tensor, "batch some"]) -> Float[Tensor, "batch vocab"]:
        """Drop ids that the target's head does not have, rule out those that the model's lacks."""
        missing = self._vocab_size - logits.shape[-1]
        if missing <= 0:
            return logits[:, : self._vocab_size]
        return torch.nn.functional.pad(logits, (0, missing), value=-torch.inf)

"""What a target must say, found without a cache; and targets that answer as a check wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs
import torch
from torch import Tensor

from specframe import Draft, Engine, Row, Rows, Sampler, Sampling, Scores, Stops, Target
from specframe.testing._rows import make_rows

CONTEXT = 1000
FORCE = 1e4  # added to a logit, it outweighs every other and all noise


class Oracle(Protocol):
    """Say what follows a sequence, and make an engine that must come to the same."""

    @property
    def vocab(self) -> int:
        """Return the number of tokens."""

    def logits(self, tokens: Sequence[int]) -> list[float]:
        """Return the logits after a sequence, by definition and not by decoding."""

    def engine(self) -> Engine:
        """Return an engine with its own cache."""


def plain(
    oracle: Oracle,
    prompt: Sequence[int],
    stops: Stops,
    sampling: Sampling | None = None,
    seed: int = 0,
) -> Row:
    """Return the finished row of plain decoding: token by token, nothing drafted, no cache."""
    rows, sampler = make_rows([prompt], stops, seed), Sampler(sampling)
    (row,) = rows.active
    while row.finish_reason is None:
        logits = torch.tensor([oracle.logits(row.tokens)], dtype=torch.float64)
        row.commit(sampler.first(rows, logits).tolist())
    return row


@attrs.define(eq=False)
class Forced:
    """Answer as an oracle does, but for what was decided of single sequences.

    ``agree`` makes it say what was drafted: down to a level and no further. It stays a function of
    the sequence, so plain decoding of it is well defined.
    """

    oracle: Oracle
    answers: dict[tuple[int, ...], int] = attrs.field(factory=dict)

    @property
    def vocab(self) -> int:
        """Return the number of tokens."""
        return self.oracle.vocab

    def engine(self) -> Engine:
        """Return the engine of the oracle, which knows nothing of what was decided."""
        return self.oracle.engine()

    def logits(self, tokens: Sequence[int]) -> list[float]:
        """Return the oracle's logits, with the decided answer far above all others."""
        logits = list(self.oracle.logits(tokens))
        if tuple(tokens) in self.answers:
            logits[self.answers[tuple(tokens)]] += FORCE
        return logits

    def agree(self, row: Row, draft: Draft, place: int, levels: int) -> int | None:
        """Say what the first path of a draft holds for ``levels`` levels, then another token.

        Returns the levels that it agreed to, for the path may be shorter; None where the draft
        holds every token there is, so that one of them had to be agreed to.
        """
        path: tuple[int, ...] = ()
        while True:
            below = _tokens_below(draft, place, path)
            prefix = (*row.tokens, *path)
            if not below or len(path) == levels:
                break
            path = (*path, self.answers.setdefault(prefix, below[0]))
        others = [token for token in range(self.vocab) if token not in below]
        if not others:
            return None
        self.answers.setdefault(prefix, others[len(prefix) % len(others)])
        return len(path)


def _tokens_below(draft: Draft, place: int, path: tuple[int, ...]) -> list[int]:
    """Return the tokens that a draft has below a path, of nodes that may be accepted."""
    tokens, parents = draft.token_lists[place], draft.parent_lists[place]
    counts = draft.candidate_lists[place]
    found = []
    for node in range(1, len(tokens)):
        above, way = node, []
        while above > 0 and counts[above]:
            way.append(tokens[above])
            above = parents[above]
        if above == 0 and tuple(way[:0:-1]) == path:
            found.append(tokens[node])
    return found


class ForcedTarget(Target):
    """Accept a given number of levels of every draft; ``wanted[i]`` of round i, cycled."""

    def __init__(self, forced: Forced, wanted: Sequence[int], extra_nodes: int = 0) -> None:
        """Decide in ``forced``, so that plain decoding can be asked about it afterwards."""
        super().__init__(forced.engine(), extra_nodes=extra_nodes)
        self._forced = forced
        self._wanted = list(wanted)
        self.agreed: list[list[int | None]] = []

    def score(self, rows: Rows, draft: Draft) -> Scores:
        """Score the draft, with the answers that were decided for its nodes."""
        scores = super().score(rows, draft)
        levels = self._wanted[len(self.agreed) % len(self._wanted)]
        self.agreed.append(
            [self._forced.agree(row, draft, place, levels) for place, row in enumerate(rows.active)]
        )
        return attrs.evolve(scores, logits=self._bumped(rows, draft, scores.logits))

    def _bumped(self, rows: Rows, draft: Draft, logits: Tensor) -> Tensor:
        logits = logits.clone()
        for place, row in enumerate(rows.active):
            for node in range(draft.size_list[place]):
                prefix = (*row.tokens, *draft.path_tokens(place, node))
                if prefix in self._forced.answers:
                    logits[place, node, self._forced.answers[prefix]] += FORCE
        return logits

"""One round of a batch, as the loop sees it."""

from __future__ import annotations

import attrs
from jaxtyping import Float
from torch import Tensor

from specframe._results.row_round import RowRound
from specframe._round.clock import Clock
from specframe._round.draft import Draft
from specframe._round.rows import Rows
from specframe._round.scores import Captured
from specframe._round.verdict import Commit


@attrs.frozen
class Probs:
    """Hold the probabilities of a round's tokens, a list for each row.

    ``draft_p`` and ``draft_q`` are the target's and the drafter's of each drafted token after its
    parent, in node order, the root left out; q is None where the drafter has none. ``next_p`` is
    the target's of the token after the accepted path.
    """

    draft_p: list[list[float]]
    draft_q: list[list[float | None]]
    next_p: list[float]


@attrs.frozen(eq=False)
class Round:
    """Hold one round of a batch; the prefill is the one with no draft.

    ``indices`` are the rows' places in the caller's list; ``finish_reasons`` are eos, stop, length,
    criteria, context, or None for a row that continues; ``seconds`` maps the round's parts, of
    prefill, draft, verify and other, to their time; ``logits`` are those that the committed tokens
    were chosen from, where they were asked for, and ``probs`` their probabilities.
    """

    indices: list[int]
    draft: Draft | None
    commit: Commit | None
    first_tokens: list[int] | None
    finish_reasons: list[str | None]
    seconds: dict[str, float]
    logits: Float[Tensor, "batch new vocab"] | None = None
    probs: Probs | None = None

    @classmethod
    def prefill(cls, rows: Rows, captured: Captured, clock: Clock) -> Round:
        """Describe the prefill, which commits each row's first token."""
        reasons = [row.finish_reason for row in rows.active]
        return cls(rows.indices, None, None, rows.roots, reasons, clock.take(), captured.logits)

    @classmethod
    def of(cls, rows: Rows, draft: Draft, commit: Commit, clock: Clock) -> Round:
        """Describe a round after its commit."""
        return cls(rows.indices, draft, commit, None, commit.reasons, clock.take(), commit.logits)

    def row(self, place: int) -> RowRound:
        """Return the round as the row at ``place`` in the batch sees it, without text."""
        seen = self._decided(place)
        return seen if self.probs is None else _with_probs(seen, self.probs, place)

    def _decided(self, place: int) -> RowRound:
        reason = self.finish_reasons[place]
        if self.draft is None or self.commit is None:
            assert self.first_tokens is not None
            first = [self.first_tokens[place]]
            return RowRound([], [], None, first, 0, first, reason, self.seconds)
        draft, commit = self.draft, self.commit
        nodes = draft.size_list[place]
        confidences = draft.confidence_lists
        return RowRound(
            draft_tokens=draft.token_lists[place][1:],
            draft_parents=[parent - 1 for parent in draft.parent_lists[place][1:]],
            draft_confidences=None if confidences is None else confidences[place][1:],
            target_tokens=commit.choices.tolist()[place][:nodes],
            accepted=len(commit.path_lists[place]),
            committed=commit.token_lists[place],
            finish_reason=reason,
            seconds=self.seconds,
            path=tuple(commit.path_lists[place]),
        )


def _with_probs(round: RowRound, probs: Probs, place: int) -> RowRound:
    drafted = probs.draft_p[place]
    committed = [*(drafted[node - 1] for node in round.path), probs.next_p[place]]
    return attrs.evolve(
        round,
        draft_p=drafted,
        draft_q=probs.draft_q[place],
        committed_p=committed[: len(round.committed)],
    )

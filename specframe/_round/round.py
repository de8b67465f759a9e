"""One round as the loop sees it, and as one row sees it."""

from __future__ import annotations

import time

import attrs
from jaxtyping import Float
from torch import Tensor

from specframe._round.draft import Draft
from specframe._round.rows import Rows
from specframe._round.scores import Captured
from specframe._round.verdict import Commit


class Clock:
    """Split the time of a decode into its parts; owned by the target, read by rounds.

    ``lap(part)`` books the time since the last lap; what the caller does between two rounds is
    booked nowhere, because ``restart`` begins each round.
    """

    def __init__(self) -> None:
        """Start with nothing booked."""
        self._booked: dict[str, float] = {}
        self._last = time.perf_counter()

    def restart(self) -> None:
        """Begin a round: forget the time since the last lap."""
        self._booked = {}
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        """Book the time since the last lap under ``part``."""
        now = time.perf_counter()
        self._booked[part] = self._booked.get(part, 0.0) + now - self._last
        self._last = now

    def skip(self) -> None:
        """Forget the time since the last lap, as if it had not passed."""
        self._last = time.perf_counter()

    def take(self) -> dict[str, float]:
        """Return the seconds by part of this round, the rest under ``other``."""
        self.lap("other")
        return self._booked


@attrs.frozen
class Probs:
    """Hold the probabilities behind a round's tokens, a list for each row.

    ``draft_p`` and ``draft_q`` are the target's and the drafter's of each drafted token behind its
    parent, in node order, the root left out; q is None where the drafter has none. ``next_p`` is
    the target's of the token behind the accepted path.
    """

    draft_p: list[list[float]]
    draft_q: list[list[float | None]]
    next_p: list[float]


@attrs.frozen(eq=False)
class Round:
    """Hold one round of a batch; the prefill is the one with no draft.

    ``indices`` are the rows' places in the caller's list; ``logits`` are those behind the
    committed tokens, where they were asked for, and ``probs`` their probabilities.
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


@attrs.frozen
class RowRound:
    """Hold one round as one row sees it.

    ``draft_tokens`` leaves the root out, in node order; ``draft_parents`` index into it, -1 for a
    child of the root; ``draft_confidences`` are the un-tempered top-1 probabilities behind each;
    ``target_tokens`` is the target's choice at the root and at each node; ``accepted`` counts
    committed tokens that were drafted; ``pieces`` splits ``text`` into parts and says which were
    drafted and accepted. A prefill is a round with an empty draft.

    With ``output_probs``, ``draft_p`` and ``draft_q`` are the target's and the drafter's
    probability of each drafted token (q None where the drafter has no distribution), and
    ``committed_p`` the target's of each committed one.
    """

    draft_tokens: list[int]
    draft_parents: list[int]
    draft_confidences: list[float] | None
    target_tokens: list[int]
    accepted: int
    committed: list[int]
    finish_reason: str | None
    seconds: dict[str, float]
    path: tuple[int, ...] = ()
    text: str = ""
    pieces: tuple[tuple[str, bool], ...] = ()
    draft_p: list[float] | None = None
    draft_q: list[float | None] | None = None
    committed_p: list[float] | None = None


def _with_probs(round: RowRound, probs: Probs, place: int) -> RowRound:
    drafted = probs.draft_p[place]
    committed = [*(drafted[node - 1] for node in round.path), probs.next_p[place]]
    return attrs.evolve(
        round,
        draft_p=drafted,
        draft_q=probs.draft_q[place],
        committed_p=committed[: len(round.committed)],
    )

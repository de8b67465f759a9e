"""Stop policies that follow what was accepted: a length, and bounds on what they read."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import attrs
import torch

from specframe import Round, Rows, Step, StopPolicy, to_device
from specframe_stops._row_outcome import RowOutcome, outcomes

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor

    from specframe_stops._options import (
        AdaedlOptions,
        AdaptiveConfidenceOptions,
        HeuristicOptions,
    )

REMEMBERED = 0.5  # share of the old acceptance rate in the new one
STEADY = 0.9  # share of the old bound in the new one
NUDGE = 0.01  # distance of the new bound that is sought from the old one


class HeuristicPolicy(StopPolicy):
    """Draft two levels more after a draft that was accepted whole, one fewer after any other.

    transformers' schedule "heuristic_transient": each row has its own length, which starts again
    with each decode and is at least 1.
    """

    learns = True

    def __init__(self, options: HeuristicOptions) -> None:
        """Begin each decode with ``options.start`` levels, and draft ``options.steps`` at most."""
        self._most = options.steps
        self._first = min(options.start, options.steps)
        self._lengths: list[int] = []

    def start(self, rows: Rows) -> None:
        """Begin each row at the same length."""
        self._lengths = [self._first] * len(rows)

    def limit(self, rows: Rows) -> list[int]:
        """Return each row's length."""
        return list(self._lengths)

    def observe(self, rows: Rows, round: Round) -> None:
        """Move the lengths, except of rows for which nothing was drafted."""
        for place, outcome in enumerate(outcomes(rows, round)):
            if outcome is not None and outcome.drafted:
                is_whole = outcome.accepted == outcome.drafted
                length = self._lengths[place] + (2 if is_whole else -1)
                self._lengths[place] = max(1, min(length, self._most))

    def keep(self, kept: list[int]) -> None:
        """Continue with the rows ``kept`` alone."""
        self._lengths = [self._lengths[place] for place in kept]


@attrs.frozen
class Bound:
    """Hold a bound below which drafting stops, and the acceptance rate that moves it."""

    value: float
    acceptance: float = 0.0

    def moved(self, share: float, wanted: float, *, is_full: bool) -> Bound:
        """Return the bound after a draft of which ``share`` was accepted.

        Draft & Verify (arXiv 2309.08168), equations 4 and 5: it rises while less is accepted than
        ``wanted`` and falls otherwise, unless the draft was as long as drafts may be.
        """
        acceptance = REMEMBERED * self.acceptance + (1 - REMEMBERED) * share
        nudge = NUDGE if acceptance < wanted else 0.0 if is_full else -NUDGE
        return Bound(self.value + (1 - STEADY) * nudge, acceptance)

    def eased(self) -> Bound:
        """Return the bound after a round in which it stopped every draft."""
        return Bound(self.value - (1 - STEADY) * NUDGE, self.acceptance)


class Bounds:
    """Hold one bound per row of a decode, and the one that the next decode begins with.

    That is the mean over the rows of the last round: it outlives sequences until ``reset``.
    """

    def __init__(self, start: float) -> None:
        """Begin at ``start``."""
        self._start = Bound(start)
        self._carried = self._start
        self.rows: list[Bound] = []

    def begin(self, count: int) -> None:
        """Begin a decode of ``count`` rows."""
        self.rows = [self._carried] * count

    def replace(self, rows: list[Bound]) -> None:
        """Take the rows' bounds after a round."""
        self.rows = rows
        self._carried = Bound(
            sum(bound.value for bound in rows) / len(rows),
            sum(bound.acceptance for bound in rows) / len(rows),
        )

    def keep(self, kept: list[int]) -> None:
        """Continue with the rows ``kept`` alone."""
        self.rows = [self.rows[place] for place in kept]

    def reset(self) -> None:
        """Forget what outlives sequences."""
        self._carried = self._start

    def below(self, values: Tensor) -> Bool[Tensor, " batch"]:
        """Tell which values are below the bounds of their rows."""
        bounds = [bound.value for bound in self.rows]
        return values < to_device(torch.tensor(bounds, dtype=values.dtype), values.device)


class MovingBoundPolicy(StopPolicy, abc.ABC):
    """Stop where a value lies below a bound that moves with what is accepted.

    A subclass says which value, and how a row's bound moves.
    """

    learns = True

    def __init__(self, start: float, wanted: float, steps: int) -> None:
        """Begin with bound ``start``, seek acceptance ``wanted``, stop after ``steps`` anyway."""
        self.bounds = Bounds(start)
        self._wanted = wanted
        self._steps = steps

    @abc.abstractmethod
    def moved(self, bound: Bound, outcome: RowOutcome) -> Bound:
        """Return a row's bound after a round in which the row had room."""

    def start(self, rows: Rows) -> None:
        """Begin each row where the last decode ended."""
        self.bounds.begin(len(rows))

    def limit(self, rows: Rows) -> list[int]:
        """Return the same limit for all rows."""
        return [self._steps] * len(rows)

    def observe(self, rows: Rows, round: Round) -> None:
        """Move the bounds of the rows that had room."""
        seen = zip(self.bounds.rows, outcomes(rows, round), strict=True)
        self.bounds.replace(
            [bound if outcome is None else self.moved(bound, outcome) for bound, outcome in seen]
        )

    def keep(self, kept: list[int]) -> None:
        """Continue with the rows ``kept`` alone."""
        self.bounds.keep(kept)

    def reset(self) -> None:
        """Begin with the option's bound again."""
        self.bounds.reset()


class AdaptiveConfidencePolicy(MovingBoundPolicy):
    """Stop after a token whose top-1 probability lies below a moving threshold.

    Draft & Verify (arXiv 2309.08168), section 3.4: the threshold seeks an acceptance rate. Each
    row moves its own; the next decode begins with their mean, as the authors carry theirs from
    prompt to prompt, until ``reset``.
    """

    reads = frozenset({"confidence"})

    def __init__(self, options: AdaptiveConfidenceOptions) -> None:
        """Begin with ``options.threshold``, and stop after ``options.steps`` levels anyway."""
        super().__init__(options.threshold, options.acceptance, options.steps)

    def after(self, step: Step) -> Bool[Tensor, " batch"]:
        """End drafting where the confidence is below the row's threshold."""
        return self.bounds.below(step.confidence)

    def moved(self, bound: Bound, outcome: RowOutcome) -> Bound:
        """Move by the share that was accepted; without a draft there is none."""
        if not outcome.drafted:
            return bound
        is_full = outcome.drafted == self._steps
        return bound.moved(outcome.share, self._wanted, is_full=is_full)


class AdaedlPolicy(MovingBoundPolicy):
    """Stop before a token that the draft distribution's entropy makes unlikely to be accepted.

    AdaEDL (arXiv 2410.18351): 1 - sqrt(factor x entropy) bounds the acceptance rate from below;
    where that is less than a moving bound, the token is not drafted. The bound moves as in Draft &
    Verify, with "as long as drafts may be" said of what was accepted. Where it lets nothing be
    drafted it falls too, or it could never be reached again. Its scope is that of
    ``adaptive-confidence``.
    """

    reads = frozenset({"entropy"})

    def __init__(self, options: AdaedlOptions) -> None:
        """Begin with ``options.bound``, and stop after ``options.steps`` levels anyway."""
        super().__init__(options.bound, options.acceptance, options.steps)
        self._factor = options.factor

    def before(self, step: Step) -> Bool[Tensor, " batch"]:
        """Refuse a token where the lower bound of its acceptance is below the row's bound."""
        return self.bounds.below(1 - (self._factor * step.entropy).sqrt())

    def moved(self, bound: Bound, outcome: RowOutcome) -> Bound:
        """Move by the share that was accepted; where nothing was drafted, fall."""
        if not outcome.drafted:
            return bound.eased()
        is_full = outcome.accepted == self._steps
        return bound.moved(outcome.share, self._wanted, is_full=is_full)

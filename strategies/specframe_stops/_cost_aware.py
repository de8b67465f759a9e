"""The stop policy that weighs one more level against what its time would bring elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from specframe import Reading, Round, Rows, Step, StopPolicy, to_device
from specframe_stops._estimates import EDGES, Chances, Costs
from specframe_stops._row_outcome import outcomes

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor

    from specframe_stops._options import CostAwareOptions

# Lengths of the first rounds of a batch size: far enough apart to tell a level's cost.
EXPLORED = (4, 1, 6, 2)
PROBE = 16  # while drafting does not pay, one round in so many drafts a level, to see if it does


class CostAwarePolicy(StopPolicy):
    """Draft one more level while it is expected to bring more than its time is worth.

    Rounds follow one another as long as the text continues, so the tokens per second of the
    whole are E[tokens of a round] / E[seconds of a round] (the renewal reward theorem), and a level
    raises them exactly if

        expected tokens it adds / seconds it adds  >  tokens per second without it,

    the marginal value of time (Charnov 1976, for foragers). Expected tokens: the chance that the
    path drafted so far is accepted, times the chance that one more level is, both by the score of
    the path (its confidences multiplied; for a tree, its best path). Seconds: how much longer a
    round takes for each level, drafted and verified. Both are measured in this run, and so is the
    rate. A path's score can only fall, so no level after one that does not pay pays, and looking
    one level ahead is enough.

    A batch continues for all rows or for none: their gains add up, and they share the time. If not
    even the first level pays, rounds are plain except one in ``PROBE``. All measurements outlive a
    sequence, until ``reset``; times are kept by batch size.
    """

    reads = frozenset({"confidence"})
    learns = True
    times = True

    def __init__(self, options: CostAwareOptions) -> None:
        """Draft ``options.steps`` levels at most."""
        self._steps = options.steps
        self._begin()

    def _begin(self) -> None:
        self._chances = Chances()
        self._costs: dict[int, Costs] = {}
        self._by_bin = self._edges = torch.empty(0)
        self._levels: list[Reading] = []  # of the bin of each level of this round
        self._path = self._score = torch.empty(0)
        self._bound: float | None = None  # in chances of the path; None: this round explores
        self._rows: Rows | None = None

    def limit(self, rows: Rows) -> list[int]:
        """Return explored lengths at first, then the most, or 0 while drafting does not pay."""
        self._rows = rows
        self._levels = []
        costs = self._costs.setdefault(len(rows), Costs())
        if costs.rounds < len(EXPLORED):
            self._bound = None
            return [min(EXPLORED[costs.rounds], self._steps)] * len(rows)
        self._bound = costs.price / self._chances.usual
        if len(rows) >= self._bound:
            return [self._steps] * len(rows)
        return [int(costs.rounds % PROBE == 0)] * len(rows)

    def after(self, step: Step) -> Bool[Tensor, " batch"] | None:
        """End drafting if one more level is expected to bring less than its time is worth."""
        place = self._bin_of(self._confidence_of(step))
        self._levels.append(Reading(place))
        if self._bound is None:
            return None
        chance = self._by_bin.index_select(0, place)
        self._path = chance if step.level == 1 else self._path * chance
        if len(chance) == 1:  # the policy is asked, so its one row is active
            return self._path < self._bound
        return ((self._path * self._who_goes_on(step)).sum() < self._bound).expand(len(chance))

    def observe(self, rows: Rows, round: Round) -> None:
        """Count what was accepted, and how long the round took."""
        assert round.draft is not None
        assert round.commit is not None
        self._chances.fade()
        places = self._bins()
        for outcome, bins in zip(outcomes(rows, round), places, strict=False):
            if outcome is not None:
                self._chances.observe(bins[: outcome.drafted], outcome.accepted)
        self._by_bin = torch.tensor(self._chances.by_bin)
        if not any(round.finish_reasons):
            deepest = max(max(depths) for depths in round.draft.depths)
            tokens = sum(map(len, round.commit.token_lists))
            self._costs[len(rows)].observe(deepest, tokens, sum(round.seconds.values()))

    def reset(self) -> None:
        """Forget all that was measured."""
        self._begin()

    def _confidence_of(self, step: Step) -> Tensor:
        """Return the level's own confidence: in a tree, what its best path lost on this level."""
        if step.scores is None:
            return step.confidence
        above = self._score if step.level > 1 else torch.ones_like(step.scores)
        self._score = step.scores
        return step.scores / above

    def _bin_of(self, confidence: Tensor) -> Tensor:
        if self._edges.device != confidence.device or not len(self._edges):
            self._edges = to_device(EDGES, confidence.device)
        self._by_bin = to_device(self._by_bin, confidence.device)
        return torch.bucketize(confidence, self._edges)

    def _who_goes_on(self, step: Step) -> Tensor:
        assert self._rows is not None
        rooms = to_device(self._rows.rooms, step.active.device)
        return step.active & (rooms > step.level)

    def _bins(self) -> list[list[int]]:
        """Return the bin of each level's confidence, for each row."""
        if not self._levels:
            return []
        levels = [level.wait()[0] for level in self._levels]
        bins: list[list[int]] = torch.stack(levels, dim=-1).tolist()  # [batch, level]
        return bins

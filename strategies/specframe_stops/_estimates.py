"""What a run has shown so far of acceptance and of time."""

from __future__ import annotations

import itertools
import statistics
from collections import deque
from collections.abc import Sequence

# Borders of the bins of confidence.
EDGES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
PRIORS = tuple((2 + low + high) / 4 for low, high in zip((0, *EDGES), (*EDGES, 1), strict=True))
KEEP = 0.998  # weight of a round against that of the next: about 500 rounds count
BELIEF = 1.0  # how many levels a prior weighs
USUAL = 0.75  # prior chance of a level of which nothing is known
LAST = 16  # rounds of one length whose times are kept
FRESH = 0.99  # weight of a length that was last met a round ago, against one met now
SHARE = 0.1  # prior cost of a level, as a share of a round


class Chances:
    """Estimate how likely a level is accepted where all above it were, by bin of its confidence.

    A bin starts above its confidence: where the target takes its likeliest token, the drafter's
    likeliest is that token more often than its probability says. The chance of a level that has not
    been drafted is the mean of all. Every bin is met on level 1, which is drafted in any case, so
    none is given up for want of trying. Rounds fade.
    """

    def __init__(self) -> None:
        """Begin with the priors alone."""
        self._tries = [0.0] * len(PRIORS)
        self._hits = [0.0] * len(PRIORS)

    def observe(self, bins: Sequence[int], accepted: int) -> None:
        """Count one row's draft: the bin of each level, and how many levels were accepted."""
        for level, place in enumerate(bins[: accepted + 1], start=1):
            self._tries[place] += 1
            self._hits[place] += level <= accepted

    def fade(self) -> None:
        """Let earlier rounds weigh less; called once a round."""
        self._tries = [KEEP * count for count in self._tries]
        self._hits = [KEEP * count for count in self._hits]

    @property
    def usual(self) -> float:
        """Return the chance of a level of which nothing is known."""
        return (BELIEF * USUAL + sum(self._hits)) / (BELIEF + sum(self._tries))

    @property
    def by_bin(self) -> list[float]:
        """Return the chance of a level in each bin."""
        return [
            (BELIEF * prior + hits) / (BELIEF + tries)
            for prior, hits, tries in zip(PRIORS, self._hits, self._tries, strict=True)
        ]


class Costs:
    """Measure what rounds of one batch size take and bring.

    Seconds are taken to grow evenly with the levels drafted. The line goes through the median of
    the last rounds of each length, with the weighted median of all slopes between two lengths
    (Theil and Sen): rounds that the machine held up do not move it. Lengths that are no longer
    drafted fade.
    """

    def __init__(self) -> None:
        """Begin with nothing measured."""
        self._last: dict[int, deque[float]] = {}
        self._medians: dict[int, float] = {}
        self._met: dict[int, int] = {}  # when a length was last met
        self._rounds = self._levels = self._tokens = 0.0
        self.rounds = 0

    def observe(self, levels: int, tokens: int, seconds: float) -> None:
        """Count a round: its deepest draft, what it committed, what it took."""
        last = self._last.setdefault(levels, deque(maxlen=LAST))
        last.append(seconds)
        self._medians[levels] = statistics.median(last)
        self._met[levels] = self.rounds
        self._rounds = KEEP * self._rounds + 1
        self._levels = KEEP * self._levels + levels
        self._tokens = KEEP * self._tokens + tokens
        self.rounds += 1

    @property
    def price(self) -> float:
        """Return what a level costs, in the tokens that its time would bring elsewhere."""
        slope = self._slope()
        base = weighted_median(
            [
                (seconds - slope * levels, self._weight(levels))
                for levels, seconds in self._medians.items()
            ]
        )
        return slope * self._tokens / (max(base, 0.0) * self._rounds + slope * self._levels)

    def _slope(self) -> float:
        """Return the seconds of a level; a share of a round until two lengths were seen."""
        usual = SHARE * statistics.fmean(self._medians.values())
        slopes = [
            (
                (self._medians[far] - self._medians[near]) / (far - near),
                (far - near) * min(self._weight(near), self._weight(far)),
            )
            for near, far in itertools.combinations(sorted(self._medians), 2)
        ]
        return max(weighted_median([*slopes, (usual, 1)]), usual / 100)

    def _weight(self, levels: int) -> float:
        age = self.rounds - self._met[levels]
        return len(self._last[levels]) * FRESH**age


def weighted_median(weighted: Sequence[tuple[float, float]]) -> float:
    """Return the value at which half of the weight is reached."""
    half, reached = sum(weight for _, weight in weighted) / 2, 0.0
    for value, weight in sorted(weighted):
        reached += weight
        if reached >= half:
            return value
    raise ValueError("there is no median of nothing")

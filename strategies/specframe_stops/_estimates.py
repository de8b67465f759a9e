"""What a run has shown so far about acceptance and time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

# Borders of the bins of confidence.
EDGES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
PRIORS = tuple((2 + low + high) / 4 for low, high in zip((0, *EDGES), (*EDGES, 1), strict=True))
KEEP = 0.998  # weight of a round against that of the next: about 500 rounds count
BELIEF = 1.0  # how many levels a prior weighs
USUAL = 0.75  # prior chance of a level about which nothing is known
PAIRS = 64  # pairs of rounds that are kept
SHARE = 0.1  # prior cost of a level, as a share of a round without drafts
BELIEF_IN_SHARE = 8.0  # weight of that prior, in levels of difference
LEAST_SHARE = 0.001  # no level is free
LEAST_BASE = 0.1  # a round without drafts takes this share of the rounds compared, at least


class Chances:
    """Estimate how likely a level is accepted if all above it were, by bin of its confidence.

    A bin starts above its confidence: if the target takes its likeliest token, the drafter's
    likeliest is that token more often than its probability says. The chance of a level that has not
    been drafted is the mean of all. Every bin occurs on level 1, which is drafted in any case, so
    each is tried again and again. Earlier rounds count less.
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
        """Return the chance of a level about which nothing is known."""
        return (BELIEF * USUAL + sum(self._hits)) / (BELIEF + sum(self._tries))

    @property
    def by_bin(self) -> list[float]:
        """Return the chance of a level in each bin."""
        return [
            (BELIEF * prior + hits) / (BELIEF + tries)
            for prior, hits, tries in zip(PRIORS, self._hits, self._tries, strict=True)
        ]


class Costs:
    """Measure what rounds of one batch size cost and bring.

    Seconds are assumed to grow linearly with the levels drafted. Two successive rounds ran under
    the same conditions. So if their lengths differ, they tell what a level costs relative to a
    round without drafts, however the machine's speed changes over time. The weighted median over
    the last such pairs (Theil and Sen) ignores rounds that were held up.
    """

    def __init__(self) -> None:
        """Begin with nothing measured."""
        self._shares: deque[tuple[float, float]] = deque(maxlen=PAIRS)
        self._before: tuple[int, float] | None = None
        self._rounds = self._levels = self._tokens = 0.0
        self.rounds = 0

    def observe(self, levels: int, tokens: int, seconds: float) -> None:
        """Count a round: its deepest draft, what it committed, how long it took."""
        if self._before is not None and self._before[0] != levels:
            weight = abs(levels - self._before[0])
            self._shares.append((_share_of_a_level(self._before, (levels, seconds)), weight))
        self._before = levels, seconds
        self._rounds = KEEP * self._rounds + 1
        self._levels = KEEP * self._levels + levels
        self._tokens = KEEP * self._tokens + tokens
        self.rounds += 1

    @property
    def price(self) -> float:
        """Return the cost of a level, in the tokens that its time would bring elsewhere."""
        share = max(weighted_median([*self._shares, (SHARE, BELIEF_IN_SHARE)]), LEAST_SHARE)
        return share * self._tokens / (self._rounds + share * self._levels)


def _share_of_a_level(one: tuple[int, float], other: tuple[int, float]) -> float:
    """Return a level's seconds over those of a round without drafts, by a line through two."""
    (near, short), (far, long) = one, other
    middle, mean = (near + far) / 2, (short + long) / 2
    slope = (long - short) / (far - near) / mean
    # The line meets no level at mean x (1 - slope x middle), which noise may carry below zero.
    return slope / max(1 - slope * middle, LEAST_BASE)


def weighted_median(weighted: Sequence[tuple[float, float]]) -> float:
    """Return the value at which half of the weight is reached."""
    half, reached = sum(weight for _, weight in weighted) / 2, 0.0
    for value, weight in sorted(weighted):
        reached += weight
        if reached >= half:
            return value
    raise ValueError("there is no median of nothing")

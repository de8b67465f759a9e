"""What theory expects of a chain of drafts at the costs that were measured.

Leviathan, Kalman and Matias, "Fast inference from transformers via speculative decoding"
(arXiv 2211.17192), Theorem 3.8.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from specframe.bench._records import BenchRound, Level
from specframe.bench.report._results_by_strategy import ReportedStrategy


@attrs.frozen
class MeasuredCosts:
    """Say what a strategy's rounds cost, in units of one token decoded plainly.

    ``lengths`` are the shares of rounds by drafted levels, ``drafted`` the mean of drafted tokens,
    which for a tree counts all its nodes. ``per_draft`` is c of the paper. ``beside`` is what a
    round costs besides drafting; the paper takes it to be one plain token.
    """

    lengths: Mapping[int, float]
    drafted: float
    per_draft: float
    beside: float

    @property
    def length(self) -> float:
        """Return the mean of drafted levels."""
        return sum(levels * share for levels, share in self.lengths.items())

    def expected_speedup(self, acceptance: float) -> float:
        """Return the speed-up with the lengths and the costs of these very rounds."""
        tokens = sum(
            share * expected_tokens(acceptance, levels) for levels, share in self.lengths.items()
        )
        return tokens / (self.drafted * self.per_draft + self.beside)

    def theorem(self, acceptance: float) -> float:
        """Return Theorem 3.8: drafts of the mean length, a verification that costs one token."""
        return expected_tokens(acceptance, self.length) / (self.drafted * self.per_draft + 1)


def expected_tokens(acceptance: float, length: float) -> float:
    """Return the tokens of a round if each of ``length`` drafts is accepted at this rate."""
    if acceptance >= 1:
        return length + 1
    return (1.0 - math.pow(acceptance, length + 1)) / (1.0 - acceptance)


def measure_costs(strategy: ReportedStrategy, plain_seconds: float | None) -> MeasuredCosts | None:
    """Return what the rounds cost; None without rounds, drafts or the seconds of a plain token.

    A tree drafts more tokens than levels: no round is taken to be deeper than the deepest level
    that any round reached.
    """
    rounds = _rounds(strategy)
    drafted = sum(each.drafted for each in rounds)
    drafting = sum(each.draft for each in rounds)
    beside = sum(each.verify + each.other for each in rounds)
    if not plain_seconds or drafted <= 0 or drafting + beside <= 0:
        return None
    deepest = _deepest(strategy)
    levels = Counter(int(min(each.drafted, deepest)) for each in rounds)
    return MeasuredCosts(
        lengths={level: many / len(rounds) for level, many in levels.items()},
        drafted=drafted / len(rounds),
        per_draft=drafting / drafted / plain_seconds,
        beside=beside / len(rounds) / plain_seconds,
    )


def acceptance_rate(levels: Iterable[Level]) -> float | None:
    """Return the share of drafts that were accepted, of those whose forerunners all were."""
    reached, accepted = 0, 0
    for each in levels:
        reached += each.reached
        accepted += each.accepted
    return min(accepted / reached, 1.0) if reached > 0 else None


def acceptance_by_prompt(strategy: ReportedStrategy) -> dict[str, float]:
    """Return the acceptance rate of each prompt, over its turns and repeats."""
    levels: dict[str, list[Level]] = {}
    for run in strategy.runs:
        found = [each for turn in run.turns for each in turn.by_position or ()]
        levels.setdefault(str(run.prompt), []).extend(found)
    rates = {prompt: acceptance_rate(found) for prompt, found in levels.items()}
    return {prompt: rate for prompt, rate in rates.items() if rate is not None}


def seconds_of_token(plain: ReportedStrategy) -> float | None:
    """Return the seconds of a token of plain decoding, as one row of a batch sees them."""
    rounds = _rounds(plain)
    tokens = sum(each.committed for each in rounds)
    spent = sum(each.draft + each.verify + each.other for each in rounds)
    return spent / tokens if tokens > 0 and spent > 0 else None


def _rounds(strategy: ReportedStrategy) -> list[BenchRound]:
    """Return a strategy's rounds: those whose times are known."""
    turns = [turn for run in strategy.runs for turn in run.turns]
    rounds = [each for turn in turns for each in turn.rounds or ()]
    return [each for each in rounds if all(map(math.isfinite, each))]


def _deepest(strategy: ReportedStrategy) -> float:
    """Return the deepest level that a round reached."""
    levels = strategy.overall.acceptance_by_position
    return max((each.position for each in levels if each.reached), default=float("inf"))

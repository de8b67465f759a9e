"""What theory expects of a chain of drafts at the costs that were measured.

Leviathan, Kalman and Matias, "Fast inference from transformers via speculative decoding"
(arXiv 2211.17192), Theorem 3.8.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import attrs

from specframe.bench.report._results import Strategy
from specframe.bench.report._values import Values, finite, listed

DRAFTED, COMMITTED, DRAFT, VERIFY, OTHER = 0, 2, 3, 4, 5  # places in a round


@attrs.frozen
class Costs:
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


def measure_costs(strategy: Strategy, plain_seconds: float | None) -> Costs | None:
    """Return what the rounds cost; None without rounds, drafts or the seconds of a plain token.

    A tree drafts more tokens than levels: no round is taken to be deeper than the deepest level
    that any round reached.
    """
    rounds = _rounds(strategy)
    drafted = sum(each[DRAFTED] for each in rounds)
    spent = [sum(each[part] for each in rounds) for part in (DRAFT, VERIFY, OTHER)]
    if not plain_seconds or drafted <= 0 or sum(spent) <= 0:
        return None
    deepest = _deepest(strategy)
    levels = Counter(int(min(each[DRAFTED], deepest)) for each in rounds)
    return Costs(
        lengths={level: many / len(rounds) for level, many in levels.items()},
        drafted=drafted / len(rounds),
        per_draft=spent[0] / drafted / plain_seconds,
        beside=(spent[1] + spent[2]) / len(rounds) / plain_seconds,
    )


def acceptance_rate(positions: Iterable[Values]) -> float | None:
    """Return the share of drafts that were accepted, of those whose forerunners all were."""
    reached, accepted = 0.0, 0.0
    for each in positions:
        reached += each.number("reached") or 0.0
        accepted += each.number("accepted") or 0.0
    return min(accepted / reached, 1.0) if reached > 0 else None


def acceptance_by_prompt(strategy: Strategy) -> dict[str, float]:
    """Return the acceptance rate of each prompt, over its turns and repeats."""
    positions: dict[str, list[Values]] = {}
    for run in strategy.runs:
        found = [each for turn in run.items("turns") for each in turn.items("by_position")]
        positions.setdefault(run.text("prompt"), []).extend(found)
    rates = {prompt: acceptance_rate(found) for prompt, found in positions.items()}
    return {prompt: rate for prompt, rate in rates.items() if rate is not None}


def seconds_of_token(plain: Strategy) -> float | None:
    """Return the seconds of a token of plain decoding, as one row of a batch sees them."""
    rounds = _rounds(plain)
    tokens = sum(each[COMMITTED] for each in rounds)
    spent = sum(each[DRAFT] + each[VERIFY] + each[OTHER] for each in rounds)
    return spent / tokens if tokens > 0 and spent > 0 else None


def _rounds(strategy: Strategy) -> list[Sequence[float]]:
    """Return a strategy's rounds: those that are whole."""
    turns = [turn for run in strategy.runs for turn in run.items("turns")]
    lists = [listed(each) for turn in turns for each in turn.sequence("rounds")]
    rounds = [[finite(value) for value in each] for each in lists]
    whole = [[value for value in each if value is not None] for each in rounds]
    return [each for each in whole if len(each) > OTHER]


def _deepest(strategy: Strategy) -> float:
    """Return the deepest level that a round reached."""
    positions = strategy.overall.items("acceptance_by_position")
    reached = [each.number("position") for each in positions if each.number("reached")]
    return max((level for level in reached if level is not None), default=float("inf"))

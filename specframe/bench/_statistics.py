"""Numbers drawn from runs: rates, ratios with an interval, repetition."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

import attrs
import numpy as np

from specframe._results.metrics import ratio
from specframe.bench._records import Level, Run, Turn

RESAMPLES = 2000
GRAM = 8


@attrs.frozen
class Ratio:
    """Hold a median of ratios and its 95 % bootstrap interval, None for fewer than two."""

    median: float | None = None
    low: float | None = None
    high: float | None = None


def median_ratio(ratios: Sequence[float], seed: int) -> Ratio:
    """Return the median and the interval that resampling the ratios gives it.

    The percentile bootstrap (Efron 1979), seeded. A single ratio says nothing about its spread.
    """
    if not ratios:
        return Ratio()
    median = statistics.median(ratios)
    if len(ratios) < 2:
        return Ratio(median)
    draws = np.random.default_rng(seed).integers(len(ratios), size=(RESAMPLES, len(ratios)))
    medians = np.median(np.asarray(sorted(ratios))[draws], axis=1)
    low, high = (float(value) for value in np.percentile(medians, (2.5, 97.5)))
    return Ratio(median, low, high)


def rate(turns: Sequence[Turn]) -> float | None:
    """Return tokens per second after the prefill; None for 0/0 or where it is not known."""
    tokens = sum(len(turn.token_ids) - turn.first_tokens for turn in turns)
    return ratio(tokens, sum(turn.decoding_seconds for turn in turns)) if tokens else None


def best_rates(runs: Iterable[Run]) -> dict[str, float]:
    """Return the rate of each prompt's fastest run, by prompt id."""
    best: dict[str, float] = {}
    for run in runs:
        found = rate(run.turns)
        if found is not None:
            best[str(run.prompt)] = max(found, best.get(str(run.prompt), 0.0))
    return best


def ratios(ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float]:
    """Return the quotient for each prompt that both have."""
    return {prompt: rate / theirs[prompt] for prompt, rate in ours.items() if theirs.get(prompt)}


def batches(runs: Iterable[Run]) -> list[list[Run]]:
    """Return a strategy's runs in groups that were decoded together and share their seconds."""
    groups: dict[object, list[Run]] = {}
    for run in runs:
        alone = run.batch is None
        groups.setdefault(run.key if alone else (run.repeat, run.batch), []).append(run)
    return list(groups.values())


def longest(batch: Sequence[Run]) -> list[Turn]:
    """Return, turn by turn, the row of a batch that lasted longest: its seconds are the batch's."""
    count = max(len(run.turns) for run in batch)
    rows = [[run.turns[at] for run in batch if at < len(run.turns)] for at in range(count)]
    return [max(turns, key=lambda turn: turn.seconds.total) for turns in rows]


def repeated_grams(sequences: Iterable[Sequence[int]]) -> float | None:
    """Return the share of 8-grams that repeat one before in their sequence; None without any."""
    repeated = count = 0
    for tokens in sequences:
        grams = [tuple(tokens[at : at + GRAM]) for at in range(len(tokens) - GRAM + 1)]
        repeated += len(grams) - len(set(grams))
        count += len(grams)
    return ratio(repeated, count)


def added_levels(turns: Iterable[Turn]) -> list[Level]:
    """Add up how often each level was reached and accepted."""
    reached: dict[int, int] = {}
    accepted: dict[int, int] = {}
    for turn in turns:
        for level in turn.by_position or ():
            reached[level.position] = reached.get(level.position, 0) + level.reached
            accepted[level.position] = accepted.get(level.position, 0) + level.accepted
    return [Level(at, reached[at], accepted[at]) for at in sorted(reached)]

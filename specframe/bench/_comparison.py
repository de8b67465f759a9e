"""Two benchmarks side by side."""

from __future__ import annotations

import attrs

from specframe._files import plain
from specframe.bench._records import ALL, Results, StrategyRecord, Summary, as_record
from specframe.bench._results_file import differences


@attrs.frozen
class Side:
    """Hold what one benchmark says of a strategy: its row over all prompts, and what it was."""

    row: Summary
    record: StrategyRecord


@attrs.frozen
class StrategyPair:
    """Hold one strategy in both benchmarks; None where it did not compete."""

    strategy: str
    first: Side | None
    second: Side | None


@attrs.frozen
class BenchComparison:
    """Hold two benchmarks: a pair for each strategy, and what differs besides their figures.

    ``differences`` are names with the values of both: settings, machines, and, of strategies in
    both, their options and parts.
    """

    pairs: list[StrategyPair]
    differences: list[tuple[str, str, str]]


def compare(first: Results, second: Results) -> BenchComparison:
    """StrategyPair the rows of two benchmarks, in the order of the first, then of the second."""
    ours, theirs = _sides(first), _sides(second)
    pairs = [
        StrategyPair(name, ours.get(name), theirs.get(name))
        for name in dict.fromkeys([*ours, *theirs])
    ]
    headers = first.header, second.header
    return BenchComparison(
        pairs,
        [
            *_differences(*(each.settings for each in headers)),
            *_differences(*(each.environment for each in headers)),
            *(found for pair in pairs for found in _other_options(pair)),
        ],
    )


def _sides(results: Results) -> dict[str, Side]:
    rows = {row.strategy: row for row in results.summary if row.task == ALL}
    records = [each for each in results.header.strategies if each.name in rows]
    return {each.name: Side(rows[each.name], each) for each in records}


def _other_options(pair: StrategyPair) -> list[tuple[str, str, str]]:
    """Return how two strategies of the same name differ."""
    if pair.first is None or pair.second is None:
        return []
    found = _differences(pair.first.record, pair.second.record)
    return [(f"{pair.strategy}: {what}", one, other) for what, one, other in found]


def _differences(one: object, other: object) -> list[tuple[str, str, str]]:
    return differences(plain(as_record(one)), plain(as_record(other)))

"""Two benchmarks side by side."""

from __future__ import annotations

import attrs

from specframe._files import plain
from specframe.bench._reading import differences
from specframe.bench._records import ALL, Results, Summary, as_record


@attrs.frozen
class Pair:
    """Hold one strategy's rows over all prompts; None where it did not compete."""

    strategy: str
    first: Summary | None
    second: Summary | None


@attrs.frozen
class Comparison:
    """Hold two benchmarks: a pair for each strategy, and which settings and machines differ.

    ``differences`` are names with the values of both.
    """

    pairs: list[Pair]
    differences: list[tuple[str, str, str]]


def compare(first: Results, second: Results) -> Comparison:
    """Pair the rows of two benchmarks, in the order of the first, then of the second."""
    rows = [
        {row.strategy: row for row in each.summary if row.task == ALL} for each in (first, second)
    ]
    names = dict.fromkeys([*rows[0], *rows[1]])
    about = [
        plain(as_record(part))
        for each in (first, second)
        for part in (each.header.settings, each.header.environment)
    ]
    return Comparison(
        [Pair(name, rows[0].get(name), rows[1].get(name)) for name in names],
        [*differences(about[0], about[2]), *differences(about[1], about[3])],
    )

"""Put the summary into the cells of the report's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from specframe.bench._records import ALL, TIME_PARTS, Summary
from specframe.bench.report._chart_seconds import WHOLE, TimeSplit
from specframe.bench.report._charts import position_shares, split_of
from specframe.bench.report._results_by_strategy import ReportedStrategy
from specframe.bench.report._words import (
    count,
    differences_in_words,
    interval,
    memory,
    percent,
    rate,
    times,
    two_decimals,
)


@attrs.frozen
class Cell:
    """Hold a figure and, smaller below it, what belongs to it; ``warns`` sets it off."""

    text: str
    small: str = ""
    warns: bool = False


@attrs.frozen
class TableRow:
    """Hold a strategy's figures for a task; with an error there are none."""

    strategy: str
    task: str
    cells: Sequence[Cell] = ()
    error: str = ""


@attrs.frozen
class Positions:
    """Hold a strategy's acceptance by position: of the drafts reached, and of all its rounds."""

    strategy: str
    reached: Mapping[str, Cell]
    rounds: Mapping[str, Cell]


@attrs.frozen
class Explanation:
    """Explain in words how a strategy did."""

    strategy: str
    speedup: str
    spread: str
    sentence: str
    tokens: str
    error: str


def _fault(many: int | None) -> Cell:
    return Cell(count(many), warns=bool(many))


def _over_plain(row: Summary) -> Cell:
    return Cell(times(row.speedup), interval(row.speedup_low, row.speedup_high))


def _over_transformers(row: Summary) -> Cell:
    ends = row.speedup_over_transformers_low, row.speedup_over_transformers_high
    return Cell(times(row.speedup_over_transformers), interval(*ends))


def _part(part: str) -> Callable[[Summary], Cell]:
    return lambda row: Cell(percent(_share_of_time(row, part)))


def _share_of_time(row: Summary, part: str) -> float | None:
    """Return a part's share; of parts that are not all known there is none."""
    spent = {each: row.seconds.get(each) for each in TIME_PARTS}
    known = {each: seconds for each, seconds in spent.items() if seconds is not None}
    total = sum(known.values())
    return known[part] / total if len(known) == len(TIME_PARTS) and total > 0 else None


# Heading, its columns, how a column reads the summary.
COLUMNS: dict[str, dict[str, Callable[[Summary], Cell]]] = {
    "Prompts": {
        "run": lambda row: Cell(count(row.num_prompts)),
        "failed": lambda row: _fault(row.num_failed),
    },
    "Tokens/s": {
        "without prefill": lambda row: Cell(rate(row.tokens_per_second)),
        "with prefill": lambda row: Cell(rate(row.tokens_per_second_with_prefill)),
    },
    "Speed-up over": {"plain": _over_plain, "transformers": _over_transformers},
    "Drafts": {
        "tokens a round": lambda row: Cell(two_decimals(row.mean_acceptance_length)),
        "to break even": lambda row: Cell(two_decimals(row.break_even_acceptance_length)),
        "accepted": lambda row: Cell(percent(row.draft_acceptance_rate)),
    },
    "Time": {part: _part(part) for part in TIME_PARTS},
    "Memory": {"peak": lambda row: Cell(memory(row.peak_memory))},
    "Tokens beside plain (prompts)": {
        "equal": lambda row: Cell(count(row.identical)),
        "near ties": lambda row: Cell(count(row.near_ties)),
        "different": lambda row: _fault(row.different),
        "not judged": lambda row: _fault(row.not_judged),
    },
    "Output": {"repeated 8-grams": lambda row: Cell(percent(row.repeated_8_grams))},
}


def summary_rows(strategies: Sequence[ReportedStrategy], tasks: Sequence[str]) -> list[TableRow]:
    """Return a row for each task and strategy; what was not measured is a row all the same."""
    return [_summary_row(each, task) for task in tasks for each in strategies]


def explanations(strategies: Sequence[ReportedStrategy]) -> list[Explanation]:
    """Return an explanation of each strategy, over all tasks."""
    return [_explanation(each) for each in strategies]


def position_rows(strategies: Sequence[ReportedStrategy]) -> list[Positions]:
    """Return the acceptance by position of each strategy that drafted."""
    found = [(each, position_shares(each.overall.acceptance_by_position)) for each in strategies]
    return [
        Positions(
            strategy.name,
            {each.label: Cell(percent(each.share), f"n {count(each.whole)}") for each in shares},
            {each.label: _of_rounds(each.part, strategy.rounds) for each in shares},
        )
        for strategy, shares in found
        if shares
    ]


def split_rows(strategies: Sequence[ReportedStrategy]) -> list[TableRow]:
    """Return milliseconds of a token: by part, and in all."""
    return [_split_row(split_of(each)) for each in strategies]


def _split_row(split: TimeSplit) -> TableRow:
    nothing = 0.0 if split.seconds and WHOLE not in split.seconds else None
    spent = [split.seconds.get(part, nothing) for part in TIME_PARTS] + [split.total or None]
    cells = [Cell(two_decimals(None if each is None else each * 1000)) for each in spent]
    return TableRow(split.name, ALL, cells)


def _of_rounds(accepted: float, rounds: float) -> Cell:
    return Cell(percent(accepted / rounds if rounds else None), f"n {count(rounds)}")


def _summary_row(strategy: ReportedStrategy, task: str) -> TableRow:
    named = "all" if task == ALL else task
    if strategy.error:
        return TableRow(strategy.name, named, error=f"failed: {strategy.error}")
    if task not in strategy.summaries:
        return TableRow(strategy.name, named, error="no run of this task")
    summary = strategy.summaries[task]
    cells = [read(summary) for columns in COLUMNS.values() for read in columns.values()]
    return TableRow(strategy.name, named, cells)


def _explanation(strategy: ReportedStrategy) -> Explanation:
    summary = strategy.overall
    return Explanation(
        strategy=strategy.name,
        speedup=times(summary.speedup),
        spread="" if strategy.is_plain else interval(summary.speedup_low, summary.speedup_high),
        sentence=summary.verdict or "",
        tokens="" if strategy.is_plain else _equality(summary),
        error=strategy.error,
    )


def _equality(row: Summary) -> str:
    """Say whether the tokens were those of plain decoding, and on which prompts not."""
    others = {
        "near ties": row.near_ties,
        "differ": row.different,
        "not judged": row.not_judged,
    }
    if {row.identical, *others.values()} == {None}:
        return ""
    equal = row.identical or 0
    prompts = equal + sum(many or 0 for many in others.values())
    more = [f", {count(many)} {word}" for word, many in others.items() if many]
    named = differences_in_words(row.differences)
    sentences = [f" {each[:1].upper()}{each[1:]}." for each in named]
    said = f"Tokens equal plain decoding on {count(equal)} of {count(prompts)} prompts"
    return f"{said}{''.join(more)}.{''.join(sentences)}"

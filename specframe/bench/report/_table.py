"""Put the summary into the cells of the report's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from specframe.bench._records import PromptDifference
from specframe.bench.report._chart_seconds import WHOLE, Split
from specframe.bench.report._charts import position_shares, split_of
from specframe.bench.report._results import ALL, PARTS, Strategy
from specframe.bench.report._values import Values
from specframe.bench.report._words import (
    HEADS,
    count,
    differences_in_words,
    interval,
    memory,
    percent,
    rate,
    times,
    two_decimals,
)

WORDS = {"near_ties": "near ties", "different": "differ", "not_judged": "not judged"}


@attrs.frozen
class Cell:
    """Hold a figure and, smaller below it, what belongs to it; ``warns`` sets it off."""

    text: str
    small: str = ""
    warns: bool = False


@attrs.frozen
class Row:
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
class Verdict:
    """Hold what a strategy came to, in words."""

    strategy: str
    speedup: str
    spread: str
    sentence: str
    tokens: str
    error: str


def _number(key: str, say: Callable[[float | None], str]) -> Callable[[Values], Cell]:
    return lambda summary: Cell(say(summary.number(key)))


def _speedup(key: str) -> Callable[[Values], Cell]:
    return lambda summary: Cell(
        times(summary.number(key)),
        interval(*_ends(summary, key)),
    )


def _ends(summary: Values, key: str) -> tuple[float | None, float | None]:
    return summary.number(f"{key}_low"), summary.number(f"{key}_high")


def _fault(key: str) -> Callable[[Values], Cell]:
    return lambda summary: Cell(count(summary.number(key)), warns=bool(summary.number(key)))


def _part(part: str) -> Callable[[Values], Cell]:
    return lambda summary: Cell(_share_of_time(summary, part))


def _share_of_time(summary: Values, part: str) -> str:
    """Return a part's share; of parts that are not all known there is none."""
    seconds = summary.numbers("seconds")
    total = sum(seconds.get(each, 0.0) for each in PARTS)
    known = set(PARTS) <= set(seconds) and total > 0
    return percent(seconds[part] / total if known else None)


# Heading, its columns, how a column reads the summary.
COLUMNS: dict[str, dict[str, Callable[[Values], Cell]]] = {
    "Prompts": {"run": _number("num_prompts", count), "failed": _fault("num_failed")},
    "Tokens/s": {
        "without prefill": _number("tokens_per_second", rate),
        "with prefill": _number("tokens_per_second_with_prefill", rate),
    },
    "Speed-up over": {
        "plain": _speedup("speedup"),
        "transformers": _speedup("speedup_over_transformers"),
    },
    "Drafts": {
        "tokens a round": _number("mean_acceptance_length", two_decimals),
        "to break even": _number("break_even_acceptance_length", two_decimals),
        "accepted": _number("draft_acceptance_rate", percent),
    },
    "Time": {part: _part(part) for part in PARTS},
    "Memory": {"peak": _number("peak_memory", memory)},
    "Tokens beside plain (prompts)": {
        "equal": _number("identical", count),
        "near ties": _number("near_ties", count),
        "different": _fault("different"),
        "not judged": _fault("not_judged"),
    },
    "Output": {"repeated 8-grams": _number("repeated_8_grams", percent)},
}


def summary_rows(strategies: Sequence[Strategy], tasks: Sequence[str]) -> list[Row]:
    """Return a row for each task and strategy; what was not measured is a row all the same."""
    return [_summary_row(each, task) for task in tasks for each in strategies]


def verdicts(strategies: Sequence[Strategy]) -> list[Verdict]:
    """Return a verdict on each strategy, over all tasks."""
    return [_verdict(each) for each in strategies]


def position_rows(strategies: Sequence[Strategy]) -> list[Positions]:
    """Return the acceptance by position of each strategy that drafted."""
    found = [(each, position_shares(each.overall)) for each in strategies]
    return [
        Positions(
            strategy.name,
            {each.label: Cell(percent(each.share), f"n {count(each.whole)}") for each in shares},
            {each.label: _of_rounds(each.part, strategy.rounds) for each in shares},
        )
        for strategy, shares in found
        if shares
    ]


def split_rows(strategies: Sequence[Strategy]) -> list[Row]:
    """Return milliseconds of a token: by part, and in all."""
    return [_split_row(split_of(each)) for each in strategies]


def _split_row(split: Split) -> Row:
    nothing = 0.0 if split.seconds and WHOLE not in split.seconds else None
    spent = [split.seconds.get(part, nothing) for part in PARTS] + [split.total or None]
    cells = [Cell(two_decimals(None if each is None else each * 1000)) for each in spent]
    return Row(split.name, ALL, cells)


def _of_rounds(accepted: float, rounds: float) -> Cell:
    return Cell(percent(accepted / rounds if rounds else None), f"n {count(rounds)}")


def _summary_row(strategy: Strategy, task: str) -> Row:
    named = "all" if task == ALL else task
    if strategy.error:
        return Row(strategy.name, named, error=f"failed: {strategy.error}")
    if task not in strategy.summaries:
        return Row(strategy.name, named, error="no run of this task")
    summary = strategy.summaries[task]
    cells = [read(summary) for columns in COLUMNS.values() for read in columns.values()]
    return Row(strategy.name, named, cells)


def _verdict(strategy: Strategy) -> Verdict:
    summary = strategy.overall
    return Verdict(
        strategy=strategy.name,
        speedup=times(summary.number("speedup")),
        spread="" if strategy.is_plain else interval(*_ends(summary, "speedup")),
        sentence=summary.text("verdict"),
        tokens="" if strategy.is_plain else _equality(summary),
        error=strategy.error,
    )


def _equality(summary: Values) -> str:
    """Say whether the tokens were those of plain decoding, and on which prompts not."""
    found = {key: summary.number(key) for key in ("identical", *WORDS)}
    if set(found.values()) == {None}:
        return ""
    prompts = sum(value or 0 for value in found.values())
    said = f"Tokens equal plain decoding on {count(found['identical'] or 0)} of {count(prompts)}"
    more = [f", {count(found[key])} {word}" for key, word in WORDS.items() if found[key]]
    named = differences_in_words(_differences(summary))
    sentences = [f" {each[:1].upper()}{each[1:]}." for each in named]
    return f"{said} prompts{''.join(more)}.{''.join(sentences)}"


def _differences(summary: Values) -> list[PromptDifference]:
    """Read the prompts that differ; what is of another kind is left out."""
    return [
        PromptDifference(
            each.text("prompt"), int(each.number("position") or 0), word, each.text("why")
        )
        for each in summary.items("differences")
        for word in HEADS
        if each.text("word") == word
    ]

"""Choose what the charts of a report show, and say where there is nothing to show."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from specframe.bench._records import ALL, TIME_PARTS, Level
from specframe.bench.report._chart_acceptance import Share, draw_histogram, draw_positions
from specframe.bench.report._chart_seconds import WHOLE, TimeSplit, draw_seconds
from specframe.bench.report._chart_speedup import SpeedupBar, draw_speedups, highest_speedup
from specframe.bench.report._chart_theory import Measured, draw_theory
from specframe.bench.report._results_by_strategy import ReportedStrategy
from specframe.bench.report._theory import (
    acceptance_by_prompt,
    acceptance_rate,
    measure_costs,
    seconds_of_token,
)
from specframe.bench.report._words import percent, rate, two_decimals


@attrs.frozen
class Figure:
    """Hold a chart as SVG under its title; ``note`` is written below it."""

    title: str
    svg: str
    note: str = ""


def speedup_figures(strategies: Sequence[ReportedStrategy], tasks: Sequence[str]) -> list[Figure]:
    """Return a chart for each task, all on one scale; none where no speed-up is known."""
    bars = {task: [speedup_bar(each, task) for each in strategies] for task in tasks}
    known = [bar for row in bars.values() for bar in row]
    if all(bar.value is None for bar in known):
        return []
    highest = highest_speedup(known)
    titles = {task: "All tasks" if task == ALL else task for task in tasks}
    return [
        Figure(titles[task], draw_speedups(f"speedup-{place}", titles[task], row, highest))
        for place, (task, row) in enumerate(bars.items())
    ]


def speedup_bar(strategy: ReportedStrategy, task: str) -> SpeedupBar:
    """Return a strategy's row for a task."""
    summary = strategy.summary(task)
    if strategy.is_plain:
        return SpeedupBar(strategy.name, summary.speedup, is_plain=True)
    return SpeedupBar(
        name=strategy.name,
        value=summary.speedup,
        low=summary.speedup_low,
        high=summary.speedup_high,
        dots=summary.speedup_by_prompt,
        note="failed" if strategy.error else "not measured",
    )


def position_figures(strategies: Sequence[ReportedStrategy]) -> list[Figure]:
    """Return a chart for each strategy that drafted."""
    levels = {each.name: each.overall.acceptance_by_position for each in strategies}
    shares = {name: position_shares(found) for name, found in levels.items()}
    drafted = [(name, found) for name, found in shares.items() if found]
    return [
        Figure(name, draw_positions(f"positions-{place}", name, found))
        for place, (name, found) in enumerate(drafted)
    ]


def position_shares(levels: Sequence[Level]) -> list[Share]:
    """Return accepted by reached at each position that was reached."""
    return [
        Share(str(each.position), each.accepted, each.reached)
        for each in levels
        if each.reached > 0
    ]


def histogram_figures(strategies: Sequence[ReportedStrategy]) -> list[Figure]:
    """Return a chart for each strategy that drafted."""
    drafted = [each for each in strategies if not each.is_plain and each.rounds > 0]
    return [
        Figure(each.name, draw_histogram(f"histogram-{place}", each.name, _shares(each)))
        for place, each in enumerate(drafted)
    ]


def seconds_figures(strategies: Sequence[ReportedStrategy]) -> list[Figure]:
    """Return one chart of all strategies, or none where no time is known."""
    splits = [split_of(each) for each in strategies]
    if not any(split.seconds for split in splits):
        return []
    return [Figure("Time of a token", draw_seconds("seconds", "Time of a token", splits))]


def split_of(strategy: ReportedStrategy) -> TimeSplit:
    """Return the seconds of a token by part; undivided where only their sum is known."""
    rate = strategy.overall.tokens_per_second_with_prefill
    if rate is None or rate <= 0:
        return TimeSplit(strategy.name, {}, "failed" if strategy.error else "not measured")
    parts = _known_parts(strategy)
    total = sum(parts.values())
    return TimeSplit(strategy.name, {part: each / total / rate for part, each in parts.items()})


def _known_parts(strategy: ReportedStrategy) -> dict[str, float]:
    """Return the seconds by part, above zero; what transformers leaves together stays together."""
    seconds = strategy.overall.seconds
    parts = {part: spent for part in TIME_PARTS if (spent := seconds.get(part)) is not None}
    if len(parts) < len(TIME_PARTS):
        total, prefill = strategy.turn_seconds("total"), strategy.turn_seconds("prefill")
        parts = {"prefill": prefill, WHOLE: total - prefill}
    return {part: each for part, each in parts.items() if each > 0} or {WHOLE: 1.0}


def theory_figures(strategies: Sequence[ReportedStrategy]) -> list[Figure]:
    """Return a chart for each strategy whose rounds and speed-up are known, on one scale."""
    plain = next((seconds_of_token(each) for each in strategies if each.is_plain), None)
    found = [(each.name, measured_of(each, plain)) for each in strategies]
    known = [(name, measured) for name, measured in found if measured is not None]
    highest = max((measured.highest() for _, measured in known), default=1.0) * 1.03
    return [
        Figure(name, draw_theory(f"theory-{place}", name, measured, highest), _cost_note(measured))
        for place, (name, measured) in enumerate(known)
    ]


def measured_of(strategy: ReportedStrategy, plain_seconds: float | None) -> Measured | None:
    """Return a strategy's points and costs, or None where its rounds say nothing."""
    costs = measure_costs(strategy, plain_seconds)
    if costs is None:
        return None
    rates, speedups = acceptance_by_prompt(strategy), strategy.overall.speedup_by_prompt
    overall = acceptance_rate(strategy.overall.acceptance_by_position)
    speedup = strategy.overall.speedup
    return Measured(
        whole=None if overall is None or speedup is None else (overall, speedup),
        prompts={name: (rates[name], speedups[name]) for name in rates if name in speedups},
        costs=costs,
    )


def _cost_note(measured: Measured) -> str:
    costs = measured.costs
    said = (
        f"{rate(costs.drafted)} drafted tokens a round, c = {two_decimals(costs.per_draft)}, "
        f"v = {two_decimals(costs.beside)}"
    )
    if measured.whole is None:
        return f"{said}."
    acceptance, speedup = measured.whole
    expected, theorem = costs.expected_speedup(acceptance), costs.theorem(acceptance)
    return (
        f"{said}. At {percent(acceptance)}: measured {two_decimals(speedup)}, expected "
        f"{two_decimals(expected)}, theorem {two_decimals(theorem)}."
    )


def _shares(strategy: ReportedStrategy) -> list[Share]:
    counts = strategy.overall.acceptance_histogram
    return [Share(str(accepted), rounds, strategy.rounds) for accepted, rounds in enumerate(counts)]

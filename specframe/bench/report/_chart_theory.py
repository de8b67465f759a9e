"""Speed-up against acceptance: the prompts, the whole, and what theory expects at these costs."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from specframe.bench.report._chart import WIDTH, Chart, Scale, explain
from specframe.bench.report._theory import MeasuredCosts
from specframe.bench.report._words import percent, times

LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 34.0, 18.0, 12.0, 208.0, 246.0
STEPS = 60
SIZE = 6.0


@attrs.frozen
class Measured:
    """Hold a strategy's point over all prompts and one for each: acceptance, speed-up."""

    whole: tuple[float, float] | None
    prompts: Mapping[str, tuple[float, float]]
    costs: MeasuredCosts

    def highest(self) -> float:
        """Return the highest speed-up that the panel shows."""
        whole = [self.whole[1]] if self.whole else []
        points = [speedup for _, speedup in self.prompts.values()]
        return max(1.0, *whole, *points, self.costs.theorem(1), self.costs.expected_speedup(1))


def draw_theory(name: str, title: str, measured: Measured, highest: float) -> str:
    """Draw one strategy on a scale of speed-ups that ends at ``highest``."""
    across, height = Scale(1.0, LEFT, WIDTH - RIGHT), Scale(highest, BOTTOM, TOP)
    chart = Chart(name, title, _description(measured), HEIGHT)
    _draw_axes(chart, across, height)
    rates = [step / STEPS for step in range(STEPS + 1)]
    curves = {"theorem": measured.costs.theorem, "curve": measured.costs.expected_speedup}
    for kind, curve in curves.items():
        chart.path(kind, [(across(rate), height(curve(rate))) for rate in rates])
    for prompt, (rate, speedup) in measured.prompts.items():
        hint = f"{prompt}: {percent(rate)} accepted, {times(speedup)}"
        chart.dot("dot", (across(rate), height(speedup)), 2.4, hint)
    if measured.whole:
        _draw_whole(chart, across(measured.whole[0]), height(measured.whole[1]), measured.whole)
    return chart.text()


def _draw_axes(chart: Chart, across: Scale, height: Scale) -> None:
    for tick in height.ticks(7):
        kind = "axis" if tick == 0 else "grid"
        chart.line(kind, (LEFT, height(tick)), (WIDTH - RIGHT, height(tick)))
        chart.words("tick end", (LEFT - 5, height(tick) + 4), f"{tick:g}\N{MULTIPLICATION SIGN}")
    chart.line("one", (LEFT, height(1)), (WIDTH - RIGHT, height(1)))
    for tick in across.ticks():
        chart.line("axis", (across(tick), BOTTOM), (across(tick), BOTTOM + 3))
        chart.words("tick middle", (across(tick), BOTTOM + 16), f"{tick:.0%}")
    middle = (across(0) + across(1)) / 2
    chart.words("tick middle", (middle, BOTTOM + 33), "drafts accepted, of those reached")


def _draw_whole(chart: Chart, x: float, y: float, whole: tuple[float, float]) -> None:
    corners = [(x, y - SIZE), (x + SIZE, y), (x, y + SIZE), (x - SIZE, y)]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    diamond = chart.add("polygon", {"class": "whole", "points": points})
    explain(diamond, f"all prompts: {percent(whole[0])} accepted, {times(whole[1])}")


def _description(measured: Measured) -> str:
    costs = measured.costs
    if measured.whole is None:
        return "The measured point is not known; the curves show what theory expects."
    rate, speedup = measured.whole
    return (
        f"At {percent(rate)} acceptance the measured speed-up is {times(speedup)}; expected with "
        f"the measured lengths and costs {times(costs.expected_speedup(rate))}, by Theorem 3.8 "
        f"{times(costs.theorem(rate))}."
    )

"""Acceptance by position, and how many drafts rounds accepted: one panel for each strategy."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from specframe.bench.report._chart import WIDTH, Chart, Scale, every, explain
from specframe.bench.report._words import count, percent, short_count

LEFT, TOP, BOTTOM, HEIGHT = 52.0, 16.0, 150.0, 192.0
LABELS = 11
CONFIDENT = 1.96  # standard deviations of 95 %


@attrs.frozen
class Share:
    """Hold ``part`` of ``whole`` at a place of the horizontal axis."""

    label: str
    part: float
    whole: float

    @property
    def share(self) -> float:
        """Return part by whole; the whole is not zero."""
        return self.part / self.whole

    def spread(self) -> tuple[float, float]:
        """Return Wilson's 95 % interval of the share."""
        square = CONFIDENT**2 / self.whole
        share = min(max(self.share, 0.0), 1.0)
        centre = (share + square / 2) / (1 + square)
        half = (share * (1 - share) * square + square**2 / 4) ** 0.5 / (1 + square)
        return centre - half, centre + half


def draw_positions(name: str, title: str, shares: Sequence[Share]) -> str:
    """Draw the acceptance at each position, given that all before it were accepted."""
    said = "; ".join(f"position {s.label}: {percent(s.share)} of {count(s.whole)}" for s in shares)
    chart, height, across = _open(name, title, said, len(shares))
    for share in height.ticks():
        _draw_grid(chart, height, share)
    points = [(across[place], height(each.share)) for place, each in enumerate(shares)]
    chart.path("curve", points)
    for place, each in enumerate(shares):
        low, high = (height(end) for end in each.spread())
        chart.line("whisker", (across[place], low), (across[place], high))
        chart.dot("mark", points[place], 3.6, f"{each.label}: {percent(each.share)}")
    _draw_labels(chart, across, shares, "position")
    return chart.text()


def draw_histogram(name: str, title: str, shares: Sequence[Share]) -> str:
    """Draw the share of rounds by accepted drafts."""
    said = "; ".join(f"{each.label} accepted: {percent(each.share)}" for each in shares)
    chart, height, across = _open(name, title, said, len(shares))
    for share in height.ticks():
        _draw_grid(chart, height, share)
    width = min(26.0, (WIDTH - LEFT) / len(shares) * 0.7)
    for place, each in enumerate(shares):
        top = height(each.share)
        bar = chart.bar("bar", (across[place] - width / 2, top), (width, BOTTOM - top))
        explain(bar, f"{each.label}: {count(each.part)} rounds, {percent(each.share)}")
    _draw_labels(chart, across, shares, "accepted")
    return chart.text()


def _open(name: str, title: str, said: str, many: int) -> tuple[Chart, Scale, list[float]]:
    """Return the empty chart, its scale of shares and the middles of its columns."""
    chart = Chart(name, title, f"{said}.", HEIGHT)
    column = (WIDTH - LEFT - 4) / max(many, 4)
    return chart, Scale(1.0, BOTTOM, TOP), [LEFT + column * (place + 0.5) for place in range(many)]


def _draw_grid(chart: Chart, height: Scale, share: float) -> None:
    chart.line("axis" if share == 0 else "grid", (LEFT, height(share)), (WIDTH - 4, height(share)))
    chart.words("tick end", (LEFT - 5, height(share) + 4), f"{share:.0%}")


def _draw_labels(chart: Chart, across: list[float], shares: Sequence[Share], what: str) -> None:
    """Write what a column is and how many it counts; where columns are many, only some."""
    step = every(len(shares), LABELS)
    counted = "n" if what == "position" else "rounds"
    chart.words("tick", (0, BOTTOM + 16), what if what == "position" else "drafts")
    chart.words("tick small", (0, BOTTOM + 31), counted)
    for place, each in list(enumerate(shares))[::step]:
        number = each.whole if what == "position" else each.part
        chart.words("tick middle strong", (across[place], BOTTOM + 16), each.label)
        chart.words("tick small middle", (across[place], BOTTOM + 31), short_count(number))

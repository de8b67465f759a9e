"""Speed-ups as bars: name above, interval as whisker, one dot for each prompt."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

import attrs

from specframe.bench.report._chart import WIDTH, Chart, Scale, explain, fitted, words_width
from specframe.bench.report._words import interval, times

ROW, BAR, TOP = 52.0, 13.0, 4.0
EDGE = 5.0
AXIS = 22.0


@attrs.frozen
class SpeedupBar:
    """Hold one row: without a value, ``note`` says why there is no bar."""

    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    dots: Mapping[str, float] = attrs.field(factory=dict)
    note: str = ""
    is_plain: bool = False


def draw_speedups(name: str, title: str, bars: Sequence[SpeedupBar], highest: float) -> str:
    """Draw the bars on a scale that ends at ``highest``; panels of one scale can be compared."""
    said = "; ".join(f"{bar.name} {_value_words(bar)}" for bar in bars)
    description = f"Speed-up over plain decoding: {said}."
    chart = Chart(name, title, description, TOP + bars_height(len(bars)))
    draw_bars(chart, bars, highest, TOP)
    return chart.text()


def draw_bars(chart: Chart, bars: Sequence[SpeedupBar], highest: float, top: float) -> None:
    """Draw the bars and their axis from ``top`` downwards."""
    scale = Scale(highest, EDGE, WIDTH - EDGE)
    for place, bar in enumerate(bars):
        _draw_row(chart, scale, bar, top + ROW * place)
    _draw_axis(chart, scale, top + ROW * len(bars))


def bars_height(many: int) -> float:
    """Return how high so many bars and their axis are."""
    return ROW * many + AXIS


def highest_speedup(bars: Iterable[SpeedupBar]) -> float:
    """Return where a scale must end to hold every bar, whisker and dot, and 1."""
    found = [1.0]
    for bar in bars:
        found += [each for each in (bar.value, bar.high, *bar.dots.values()) if each is not None]
    return max(found) * 1.02


def _draw_row(chart: Chart, scale: Scale, bar: SpeedupBar, top: float) -> None:
    said = _value_words(bar)
    room = WIDTH - 2 * EDGE - words_width(said, 12.0) - 8
    explain(chart.words("name", (EDGE, top + 14), fitted(bar.name, room)), bar.name)
    chart.words("value end", (WIDTH - EDGE, top + 14), said)
    middle = top + 20 + BAR / 2
    chart.bar("track", (EDGE, top + 20), (scale.stop - scale.start, BAR))
    if bar.value is not None:
        kind = "bar plain" if bar.is_plain else "bar"
        chart.bar(kind, (EDGE, top + 20), (scale(bar.value) - EDGE, BAR))
    chart.line("one", (scale(1), top + 18.5), (scale(1), top + 25 + BAR))
    _draw_dots(chart, scale, bar, top + 26 + BAR)
    if bar.low is not None and bar.high is not None:
        _draw_whisker(chart, (scale(bar.low), scale(bar.high)), middle)


def _draw_dots(chart: Chart, scale: Scale, bar: SpeedupBar, lane: float) -> None:
    """Scatter the prompts below the bar, each at the same height in every chart."""
    for prompt, ratio in bar.dots.items():
        shift = zlib.crc32(prompt.encode(errors="replace")) % 5 - 2
        chart.dot("dot", (scale(ratio), lane + shift), 2.1, f"{prompt}: {times(ratio)}")


def _draw_whisker(chart: Chart, ends: tuple[float, float], middle: float) -> None:
    for kind, thick in (("halo", 4.0), ("whisker", 4.0)):
        chart.line(kind, (ends[0], middle), (ends[1], middle))
        for end in ends:
            chart.line(kind, (end, middle - thick), (end, middle + thick))


def _draw_axis(chart: Chart, scale: Scale, top: float) -> None:
    chart.line("axis", (scale.start, top), (scale.stop, top))
    for tick in scale.ticks(6):
        at = scale(tick)
        anchor = "start" if tick == 0 else "end" if at > WIDTH - 16 else "middle"
        chart.line("axis", (at, top), (at, top + 3))
        chart.words(f"tick {anchor}", (at, top + 15), f"{tick:g}\N{MULTIPLICATION SIGN}")


def _value_words(bar: SpeedupBar) -> str:
    if bar.value is None:
        return bar.note or "no speed-up known"
    spread = interval(bar.low, bar.high)
    return f"{times(bar.value)} ({spread})" if spread else times(bar.value)

"""Where the time of a token goes: stacked bars that patterns tell apart without colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from specframe.bench._records import TIME_PARTS
from specframe.bench.report._chart import WIDTH, Chart, Scale, explain, fitted, words_width
from specframe.bench.report._words import milliseconds, percent

ROW, BAR, TOP, EDGE = 46.0, 18.0, 28.0, 5.0
WHOLE = "not split"


@attrs.frozen
class TimeSplit:
    """Hold the seconds of one token by part; ``note`` says why there are none."""

    name: str
    seconds: Mapping[str, float]
    note: str = ""

    @property
    def total(self) -> float:
        """Return the seconds of a token."""
        return sum(self.seconds.values())


def draw_seconds(name: str, title: str, splits: Sequence[TimeSplit]) -> str:
    """Draw the splits on one scale, so that lengths can be compared."""
    said = "; ".join(_sentence(split) for split in splits)
    chart = Chart(name, title, f"{said}.", TOP + ROW * len(splits))
    _draw_patterns(chart)
    _draw_legend(chart, [part for part in (*TIME_PARTS, WHOLE) if _any_has(splits, part)])
    longest = max((split.total for split in splits), default=0.0)
    scale = Scale(longest, 0.0, WIDTH - 2 * EDGE)
    for place, split in enumerate(splits):
        _draw_row(chart, scale, split, TOP + ROW * place)
    return chart.text()


def _draw_row(chart: Chart, scale: Scale, split: TimeSplit, top: float) -> None:
    said = f"{milliseconds(split.total)} a token" if split.seconds else split.note
    room = WIDTH - 2 * EDGE - words_width(said, 12.0) - 8
    explain(chart.words("name", (EDGE, top + 14), fitted(split.name, room)), split.name)
    chart.words("value end", (WIDTH - EDGE, top + 14), said)
    start = EDGE
    for part, seconds in split.seconds.items():
        width = scale(seconds)
        _draw_part(chart, part, (start, top + 20), width)
        share = percent(seconds / split.total) if len(split.seconds) > 1 else ""
        if share and width > words_width(share, 11.0) + 10:
            chart.words("inside middle", (start + width / 2, top + 20 + BAR - 5), share)
        start += width


def _draw_part(chart: Chart, part: str, corner: tuple[float, float], width: float) -> None:
    """Draw a part in its colour, its pattern above it."""
    kind = part.replace(" ", "-")
    explain(chart.bar(f"part {kind}", corner, (width, BAR)), part)
    pattern = chart.bar("pattern", corner, (width, BAR))
    pattern.set("fill", f"url(#{chart.name}-{kind})")


def _draw_patterns(chart: Chart) -> None:
    """Define a pattern for each part; verifying, the target's own work, is left solid."""
    lines = {
        "prefill": "M0,3H6",
        "draft": "M-1,1L1,-1M0,6L6,0M5,7L7,5",
        "verify": "",
        "other": "M3,0V6M0,3H6",
        "not-split": "M3,0V6",
    }
    for part, line in lines.items():
        pattern = chart.add(
            "pattern",
            {
                "id": f"{chart.name}-{part}",
                "width": 6,
                "height": 6,
                "patternUnits": "userSpaceOnUse",
            },
        )
        ink = chart.add("path", {"class": "ink", "d": line or "M0,0"})
        chart.root.remove(ink)
        pattern.append(ink)


def _draw_legend(chart: Chart, parts: Sequence[str]) -> None:
    start = EDGE
    for part in parts:
        _draw_part(chart, part, (start, 3), 18)
        chart.words("tick", (start + 23, 16), part)
        start += 23 + words_width(part, 11.0) + 16


def _any_has(splits: Sequence[TimeSplit], part: str) -> bool:
    return any(part in split.seconds for split in splits)


def _sentence(split: TimeSplit) -> str:
    if not split.seconds:
        return f"{split.name}: {split.note}"
    parts = ", ".join(f"{part} {milliseconds(each)}" for part, each in split.seconds.items())
    return f"{split.name}: {parts} a token"

"""Draw the speed-ups of a benchmark as a picture that needs no page, for a README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from specframe._errors import InputError
from specframe.bench._records import ALL, Header, Results
from specframe.bench.report._chart import WIDTH, Chart, fitted, place
from specframe.bench.report._chart_speedup import (
    SpeedupBar,
    bars_height,
    draw_bars,
    highest_speedup,
)
from specframe.bench.report._charts import speedup_bar
from specframe.bench.report._results_by_strategy import ReportedStrategy, read_strategies
from specframe.bench.report._words import moment, percent, printable

STYLE = Path(__file__).parent / "report" / "templates" / "chart.css"
PADDING = 16.0
HEADING = 48.0
FOOT, FOOT_LINE = 36.0, 14.0
SIZE = 1.4  # pixels a unit, so that the words are about as large as a page's


def draw_picture(results: Results) -> str:
    """Return an SVG file: its own colours, light and dark, and its own background.

    InputError where no strategy has a speed-up.
    """
    strategies = read_strategies(results)
    bars = [speedup_bar(each, ALL) for each in strategies]
    if all(bar.value is None for bar in bars):
        raise InputError("these results hold no speed-up: run the benchmark with strategy none too")
    height = HEADING + bars_height(len(bars)) + FOOT
    said = "; ".join(f"{bar.name} {bar.value:.2f}" for bar in bars if bar.value is not None)
    chart = Chart("picture", "Speed-up over plain decoding", f"{said}.", height)
    _frame(chart, height)
    _write(chart, results.header)
    _write_foot(chart, [_runs(results.header, bars), _repeats(strategies)], height)
    draw_bars(chart, bars, highest_speedup(bars), HEADING)
    return printable(chart.text()) + "\n"


def _frame(chart: Chart, height: float) -> None:
    """Widen the picture by its padding, and give it its own background and style."""
    width, height = WIDTH + 2 * PADDING, height + 2 * PADDING
    box = (-PADDING, -PADDING, width, height)
    chart.root.set("viewBox", " ".join(place(each) for each in box))
    chart.root.set("width", place(width * SIZE))
    chart.root.set("height", place(height * SIZE))
    style = ET.SubElement(chart.root, "style")
    style.text = STYLE.read_text(encoding="utf-8")
    back = chart.bar("back", (0.5 - PADDING, 0.5 - PADDING), (width - 1, height - 1))
    back.set("rx", "10")


def _write(chart: Chart, header: Header) -> None:
    machine = header.environment.processor or header.environment.machine
    subtitle = [header.settings.model, header.settings.dtype, machine]
    chart.words("heading", (5, 14), "Speed-up over plain decoding")
    written = ", ".join(each for each in subtitle if each)
    chart.words("tick", (5, 31), fitted(written, WIDTH - 10, 11.0))


def _write_foot(chart: Chart, lines: Sequence[str], height: float) -> None:
    for above, line in enumerate(reversed(lines)):
        chart.words("tick small", (5, height - above * FOOT_LINE), line)


def _runs(header: Header, bars: Sequence[SpeedupBar]) -> str:
    """Say what the bars are drawn from, and when."""
    prompts = max((len(bar.dots) for bar in bars), default=0)
    said = [
        f"{prompts} prompts (dots), median and its 95 % interval",
        moment(header.created),
    ]
    return ", ".join(each for each in said if each)


def _repeats(strategies: Sequence[ReportedStrategy]) -> str:
    """Say how much of the outputs is repetition, which favours strategies that copy."""
    shares = [each.overall.repeated_8_grams for each in strategies]
    known = [share for share in shares if share is not None]
    if not known:
        return "repeated 8-grams in the outputs: not known"
    ends = dict.fromkeys(percent(end) for end in (min(known), max(known)))
    return f"repeated 8-grams in the outputs: {' to '.join(ends)}"

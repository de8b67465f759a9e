"""The strip of rounds: time upwards, tokens downwards, one column for each round."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from xml.etree import ElementTree as ET

import attrs

from specframe._trace.records import RoundRecord

TIME_PARTS = ("prefill", "draft", "verify", "other")
NARROW, BROAD, GAP = 7, 24, 1.5  # of columns: the fewer they are, the broader
USUAL = 780  # how wide a strip is if its columns allow it
TIME, TOKENS, LINE = 90.0, 40.0, 94.0
HEIGHT = LINE + TOKENS + 2


@attrs.frozen
class Rectangle:
    """Hold a rectangle of a column: where it begins and how high it is."""

    top: float
    height: float


def draw_strip(name: str, rounds: Sequence[RoundRecord]) -> str:
    """Draw the rounds after the prefill as SVG; ``name`` is unique in the page.

    All columns of a part are one path, so thousands of rounds are a handful of elements.
    """
    column = max(NARROW, min(BROAD, USUAL // max(len(rounds), 1)))
    root = _open(column, rounds)
    _add_pattern(root, name)
    for part, bars in _time_bars(rounds).items():
        _add_path(root, f"part {part}", bars, column)
        if part == "draft":
            hatch = _add_path(root, "pattern", bars, column)
            hatch.set("fill", f"url(#{name}-hatch)")
    accepted, own = _token_bars(rounds)
    _add_path(root, "kept", accepted, column)
    _add_path(root, "own", own, column)
    _add_cursor(root, column)
    return ET.tostring(root, encoding="unicode")


def total(round: RoundRecord) -> float:
    """Return the seconds of a round."""
    return sum(round.seconds.get(part, 0.0) for part in TIME_PARTS)


def _open(column: int, rounds: Sequence[RoundRecord]) -> ET.Element:
    width = column * max(len(rounds), 1)
    attributes = {
        "class": "strip",
        "data-column": str(column),
        "viewBox": f"0 0 {width} {HEIGHT:g}",
        "width": str(width),
        "height": f"{HEIGHT:g}",
        "role": "img",
        "aria-label": _sentence(rounds),
    }
    return ET.Element("svg", attributes)


def _time_bars(rounds: Sequence[RoundRecord]) -> dict[str, list[Rectangle]]:
    """Return each part's rectangles; the parts of a round are stacked."""
    unit = TIME / (max(map(total, rounds), default=0.0) or 1.0)
    bars: dict[str, list[Rectangle]] = {part: [] for part in TIME_PARTS}
    for round in rounds:
        top = LINE - 2
        for part in TIME_PARTS:
            height = unit * round.seconds.get(part, 0.0)
            top -= height
            bars[part].append(Rectangle(top, height))
    return bars


def _token_bars(rounds: Sequence[RoundRecord]) -> tuple[list[Rectangle], list[Rectangle]]:
    """Return the rectangles of accepted drafts and, below them, of the target's own tokens."""
    unit = TOKENS / max((len(round.committed) for round in rounds), default=1)
    accepted = [Rectangle(LINE, unit * len(round.path)) for round in rounds]
    own = [
        Rectangle(LINE + bar.height, unit * (len(round.committed) - len(round.path)))
        for bar, round in zip(accepted, rounds, strict=True)
    ]
    return accepted, own


def _add_path(root: ET.Element, classes: str, bars: Sequence[Rectangle], column: int) -> ET.Element:
    """Draw one rectangle for each round; flat ones are left out."""
    lefts, width = itertools.count(GAP / 2, column), column - GAP
    drawn = [
        f"M{left:g} {bar.top:.1f}h{width:g}v{bar.height:.1f}h-{width:g}z"
        for left, bar in zip(lefts, bars, strict=False)
        if bar.height > 0
    ]
    return ET.SubElement(root, "path", {"class": classes, "d": "".join(drawn) or "M0 0"})


def _add_pattern(root: ET.Element, name: str) -> None:
    """Define the hatching that marks drafting without colour."""
    size = {"width": "4", "height": "4", "patternUnits": "userSpaceOnUse"}
    pattern = ET.SubElement(root, "pattern", {"id": f"{name}-hatch", **size})
    ET.SubElement(pattern, "path", {"class": "ink", "d": "M-1,1L1,-1M0,4L4,0M3,5L5,3"})


def _add_cursor(root: ET.Element, column: int) -> None:
    """Draw the mark of the selected token's round; it begins out of sight."""
    size = {"width": str(column), "height": f"{HEIGHT:g}"}
    ET.SubElement(root, "rect", {"class": "cursor", "x": f"-{BROAD * 2}", **size})


def _sentence(rounds: Sequence[RoundRecord]) -> str:
    if not rounds:
        return "There is no round after the prefill."
    times = sorted(total(round) * 1000 for round in rounds)
    tokens = sum(len(round.committed) for round in rounds)
    return (
        f"{len(rounds)} rounds committed {tokens} tokens; a round took {times[0]:.1f} to "
        f"{times[-1]:.1f} ms, {times[len(times) // 2]:.1f} ms in the middle."
    )

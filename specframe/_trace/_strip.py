"""The strip of rounds: time upwards, tokens downwards, one column for each round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.etree import ElementTree as ET

import attrs

from specframe._trace._records import RoundRecord

PARTS = ("prefill", "draft", "verify", "other")
COLUMN, GAP = 7, 1.5
TIME, TOKENS, MIDDLE = 90.0, 40.0, 94.0
HEIGHT = MIDDLE + TOKENS + 2


@attrs.frozen
class Bar:
    """Hold a rectangle: where it begins above or below, and how high it is."""

    top: float
    height: float


def draw_strip(name: str, rounds: Sequence[RoundRecord]) -> str:
    """Draw the rounds behind the prefill as SVG; ``name`` is unique in the page.

    All columns of a part are one path, so that thousands of rounds are a handful of elements.
    """
    width = COLUMN * max(len(rounds), 1)
    root = ET.Element(
        "svg",
        {
            "class": "strip",
            "viewBox": f"0 0 {width} {HEIGHT:g}",
            "width": str(width),
            "height": f"{HEIGHT:g}",
            "role": "img",
            "aria-label": _sentence(rounds),
        },
    )
    _add_pattern(root, name)
    slowest = max((_total(round) for round in rounds), default=0.0) or 1.0
    longest = max((len(round.committed) for round in rounds), default=0) or 1
    for part in PARTS:
        drawn = _columns(rounds, lambda round, part=part: _time_bar(round, part, slowest))  # type: ignore[misc]
        _add_path(root, f"part {part}", drawn)
        if part == "draft":
            hatch = _add_path(root, "pattern", drawn)
            hatch.set("fill", f"url(#{name}-hatch)")
    unit = TOKENS / longest
    _add_path(root, "kept", _columns(rounds, lambda round: Bar(MIDDLE, unit * len(round.path))))
    _add_path(root, "own", _columns(rounds, lambda round: _own_bar(round, unit)))
    ET.SubElement(
        root, "rect", {"class": "cursor", "width": str(COLUMN), "height": f"{HEIGHT:g}", "x": "-9"}
    )
    return ET.tostring(root, encoding="unicode")


def _total(round: RoundRecord) -> float:
    return sum(round.seconds.get(part, 0.0) for part in PARTS)


def _time_bar(round: RoundRecord, part: str, slowest: float) -> Bar:
    """Return a part's rectangle; parts stand one on the other in the order of PARTS."""
    below = sum(round.seconds.get(each, 0.0) for each in PARTS[: PARTS.index(part)])
    height = TIME * round.seconds.get(part, 0.0) / slowest
    return Bar(MIDDLE - 2 - TIME * below / slowest - height, height)


def _own_bar(round: RoundRecord, unit: float) -> Bar:
    return Bar(MIDDLE + unit * len(round.path), unit * (len(round.committed) - len(round.path)))


def _columns(rounds: Sequence[RoundRecord], bar: Callable[[RoundRecord], Bar]) -> str:
    """Return the path of one rectangle for each round; flat ones are left out."""
    parts = []
    for place, round in enumerate(rounds):
        rectangle = bar(round)
        if rectangle.height > 0:
            left, width = place * COLUMN + GAP / 2, COLUMN - GAP
            parts.append(
                f"M{left:g} {rectangle.top:.1f}h{width:g}v{rectangle.height:.1f}h-{width:g}z"
            )
    return "".join(parts)


def _add_path(root: ET.Element, classes: str, drawn: str) -> ET.Element:
    return ET.SubElement(root, "path", {"class": classes, "d": drawn or "M0 0"})


def _add_pattern(root: ET.Element, name: str) -> None:
    """Define the hatching that tells drafting from the rest without colour."""
    size = {"width": "4", "height": "4", "patternUnits": "userSpaceOnUse"}
    pattern = ET.SubElement(root, "pattern", {"id": f"{name}-hatch", **size})
    ET.SubElement(pattern, "path", {"class": "ink", "d": "M-1,1L1,-1M0,4L4,0M3,5L5,3"})


def _sentence(rounds: Sequence[RoundRecord]) -> str:
    if not rounds:
        return "There is no round behind the prefill."
    times = sorted(_total(round) * 1000 for round in rounds)
    tokens = sum(len(round.committed) for round in rounds)
    return (
        f"{len(rounds)} rounds committed {tokens} tokens; a round took {times[0]:.1f} to "
        f"{times[-1]:.1f} ms, {times[len(times) // 2]:.1f} ms in the middle."
    )

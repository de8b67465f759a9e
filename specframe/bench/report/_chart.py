"""Draw SVG: elements whose texts and attributes are escaped, scales, ticks, fitted words.

Colours, fonts and dark mode are the style sheet's (``templates/chart.css``): the parts of a chart
carry classes. Coordinates are those of the view box, one unit a pixel at the usual size.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from xml.etree import ElementTree as ET

import attrs

WIDTH = 380.0
# Widths of characters, of the font size, in the widest font that pages commonly get.
NARROW, USUAL, BROAD = 0.41, 0.64, 1.0
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


@attrs.frozen
class Scale:
    """Map values to coordinates; what lies outside is drawn at the edge."""

    highest: float
    start: float
    stop: float
    lowest: float = 0.0

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value."""
        share = (value - self.lowest) / ((self.highest - self.lowest) or 1.0)
        return self.start + (self.stop - self.start) * min(max(share, 0.0), 1.0)

    def ticks(self, about: int = 5) -> list[float]:
        """Return round values from the lowest on, ``about`` so many."""
        step = round_step((self.highest - self.lowest) / about)
        many = math.floor((self.highest - self.lowest) / step + 1e-9)
        return [self.lowest + step * place for place in range(many + 1)]


def round_step(rough: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below ``rough``."""
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)


class Chart:
    """Build one picture; it owns the tree of elements.

    ``name`` is unique in the page: what refers to the picture's parts is derived from it.
    """

    def __init__(self, name: str, title: str, description: str, height: float) -> None:
        """Open a picture that screen readers announce by title and description."""
        self.name = name
        marks = f"{name}-title {name}-description"
        self.root = ET.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "class": "chart",
                "viewBox": f"0 0 {place(WIDTH)} {place(height)}",
                "role": "img",
                "aria-labelledby": marks,
            },
        )
        self.add("title", {"id": f"{name}-title"}, title)
        self.add("desc", {"id": f"{name}-description"}, description)

    def add(self, tag: str, attributes: Mapping[str, float | str], text: str = "") -> ET.Element:
        """Append an element; numbers are rounded to a tenth of a unit."""
        element = ET.SubElement(
            self.root,
            tag,
            {
                key: each if isinstance(each, str) else place(each)
                for key, each in attributes.items()
            },
        )
        element.text = text or None
        return element

    def bar(
        self, classes: str, corner: tuple[float, float], size: tuple[float, float]
    ) -> ET.Element:
        """Append a rectangle; nothing is narrower or lower than nothing."""
        width, height = (max(each, 0.0) for each in size)
        x, y = corner
        return self.add(
            "rect", {"class": classes, "x": x, "y": y, "width": width, "height": height}
        )

    def line(
        self, classes: str, start: tuple[float, float], stop: tuple[float, float]
    ) -> ET.Element:
        """Append a straight line."""
        (x1, y1), (x2, y2) = start, stop
        return self.add("line", {"class": classes, "x1": x1, "y1": y1, "x2": x2, "y2": y2})

    def words(self, classes: str, at: tuple[float, float], text: str) -> ET.Element:
        """Append words; the classes ``middle`` and ``end`` say what of them is at the point."""
        return self.add("text", {"class": classes, "x": at[0], "y": at[1]}, text)

    def dot(self, classes: str, at: tuple[float, float], radius: float, hint: str) -> None:
        """Append a dot that shows ``hint`` on hovering."""
        dot = self.add("circle", {"class": classes, "cx": at[0], "cy": at[1], "r": radius})
        explain(dot, hint)

    def path(self, classes: str, points: list[tuple[float, float]]) -> None:
        """Append a line through points."""
        joined = " ".join(f"{place(x)},{place(y)}" for x, y in points)
        self.add("polyline", {"class": classes, "points": joined})

    def text(self) -> str:
        """Return the picture."""
        return ET.tostring(self.root, encoding="unicode")


def explain(element: ET.Element, hint: str) -> None:
    """Give an element the words that hovering shows."""
    ET.SubElement(element, "title").text = hint


def place(value: float) -> str:
    """Return a coordinate in as few characters as a tenth of a unit needs."""
    return f"{value:.1f}".removesuffix(".0")


def words_width(text: str, size: float) -> float:
    """Return how wide words are at most, or nearly so."""
    return size * sum(_character_width(each) for each in text)


def _character_width(character: str) -> float:
    if (
        character in "mwMW@%_\N{HORIZONTAL ELLIPSIS}"
        or unicodedata.east_asian_width(character) in "WF"
    ):
        return BROAD
    return NARROW if character in "fijlrtI.,:;|'!()[]/- " else USUAL


def fitted(text: str, width: float, size: float = 12.0) -> str:
    """Return the words, their middle left out where they are wider than ``width``.

    Names of one sweep differ at their ends.
    """
    kept, short = len(text), text
    while kept and words_width(short, size) > width:
        kept -= 1
        short = text[: kept - kept // 2] + ELLIPSIS + text[len(text) - kept // 2 :]
    return short


def every(many: int, at_most: int) -> int:
    """Return the step at which ``many`` labels leave at most ``at_most``."""
    return max(1, math.ceil(many / at_most))

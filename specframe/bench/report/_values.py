"""Read results with care: what is absent, null or of another kind is None or empty."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence

import attrs

# What XML forbids: control characters, lone surrogates and two that are no characters.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@attrs.frozen
class Values:
    """Hold an object of results.json; no reading of it fails."""

    raw: Mapping[str, object] = attrs.field(factory=dict)

    def number(self, key: str) -> float | None:
        """Return a finite number, else None."""
        return finite(self.raw.get(key))

    def text(self, key: str) -> str:
        """Return a value in printable words; null is empty."""
        return words(self.raw.get(key))

    def values(self, key: str) -> Values:
        """Return the object that stands there, or an empty one."""
        return values_of(self.raw.get(key))

    def sequence(self, key: str) -> list[object]:
        """Return the list that stands there, or an empty one."""
        return listed(self.raw.get(key))

    def items(self, key: str) -> list[Values]:
        """Return the objects of the list that stands there."""
        return [values_of(value) for value in self.sequence(key)]

    def numbers(self, key: str) -> dict[str, float]:
        """Return the finite numbers of the object that stands there, under printable names."""
        found = {words(name): finite(value) for name, value in self.values(key).raw.items()}
        return {name: value for name, value in found.items() if value is not None}

    def texts(self) -> dict[str, str]:
        """Return all entries, both sides printable."""
        return {words(name): words(value) for name, value in self.raw.items()}


def values_of(value: object) -> Values:
    """Return ``value`` as an object to read, empty if it is none."""
    return Values(value) if isinstance(value, Mapping) else Values()


def listed(value: object) -> list[object]:
    """Return ``value`` as a list, empty if it is none; a text is none."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []


def finite(value: object) -> float | None:
    """Return ``value`` if it is a finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def words(value: object) -> str:
    """Return ``value`` as one would type it, without what neither HTML nor XML can hold."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)

"""Say numbers as people read them; None is a dash."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime

from specframe.bench._records import DIFFERENT, NEAR_TIE, NOT_JUDGED, PromptDifference, Word

HEADS: dict[Word, str] = {DIFFERENT: "different", NOT_JUDGED: "not judged", NEAR_TIE: "near ties"}
NAMED = 3  # prompts in a sentence; results.json has all
UNKNOWN = "\N{EN DASH}"
KIBI = 1024
# What XML forbids: control characters, lone surrogates and two that are no characters.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """Return a text without what neither HTML nor XML can hold."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def typed(value: object) -> str:
    """Return a value as one would type it; null is empty."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def times(ratio: float | None) -> str:
    """Return ``1.52x``, with a multiplication sign."""
    return UNKNOWN if ratio is None else f"{two_decimals(ratio)}\N{MULTIPLICATION SIGN}"


def interval(low: float | None, high: float | None) -> str:
    """Return the ends of an interval, or nothing where one is missing."""
    return "" if low is None or high is None else f"{two_decimals(low)} to {two_decimals(high)}"


def percent(share: float | None) -> str:
    """Return a share of one as per cent, with a decimal below ten."""
    if share is None:
        return UNKNOWN
    digits = 0 if share == 0 or share >= 0.0995 else 1
    return f"{share:.{digits}%}"


def two_decimals(value: float | None) -> str:
    """Return two decimals, fewer for what is large."""
    if value is None:
        return UNKNOWN
    digits = 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0
    return f"{value:,.{digits}f}"


def rate(value: float | None) -> str:
    """Return one decimal."""
    return UNKNOWN if value is None else f"{value:,.1f}"


def count(value: float | None) -> str:
    """Return a whole number."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def differences_in_words(found: Sequence[PromptDifference]) -> list[str]:
    """Return a clause for each word, the worst first: its first prompts, and how many more."""
    clauses = []
    for word, head in HEADS.items():
        own = [each for each in found if each.word == word]
        named = [f"{each.prompt} at new token {each.position}" for each in own[:NAMED]]
        more = [f"{len(own) - NAMED} more"] if len(own) > NAMED else []
        why = f" ({own[0].why})" if own and word == NOT_JUDGED else ""
        if own:
            clauses.append(f"{head}: {', '.join([*named, *more])}{why}")
    return clauses


def short_count(value: float) -> str:
    """Return a whole number in at most four characters: ``812``, ``1.2k``, ``34k``."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            digits = 1 if value < 9.95 * size else 0
            return f"{value / size:.{digits}f}{unit}"
    return f"{value:.0f}"


def memory(size: float | None) -> str:
    """Return bytes in MiB, or in GiB from one on."""
    if size is None:
        return UNKNOWN
    mebi = size / KIBI**2
    return f"{mebi / KIBI:.2f} GiB" if mebi >= KIBI else f"{mebi:.0f} MiB"


def milliseconds(seconds: float) -> str:
    """Return milliseconds, with decimals where they are few."""
    value = seconds * 1000
    return f"{value:.{2 if value < 10 else 1}f} ms"


def moment(text: str) -> str:
    """Return an ISO time to the minute, or the text as it is if it is none."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{when:%Y-%m-%d %H:%M} {when:%Z}".rstrip()

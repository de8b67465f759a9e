"""The figures of a trace, counted from its rounds, so that an interrupted one has them too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from specframe._trace.records import Header, RoundRecord, Trace
from specframe._trace.round_strip import TIME_PARTS, total

UNKNOWN = "\N{EN DASH}"
PROMISES = {
    "tokens": "the same tokens as plain decoding",
    "distribution": "the same distribution as plain decoding",
    "none": "LOSSY: it changes what the model says",
}


@attrs.frozen
class ShareBar:
    """Hold a bar: what it counts, its length as a share of the longest, its value in words."""

    name: str
    share: float
    value: str


def histogram(rounds: Sequence[RoundRecord]) -> list[ShareBar]:
    """Return a bar for each number of accepted drafts; none if nothing was drafted."""
    counts = Counter(len(round.path) for round in rounds)
    if not any(round.draft_tokens for round in rounds):
        return []
    highest = max(counts.values())
    return [
        ShareBar(
            str(many),
            counts[many] / highest,
            f"{counts[many]:,} ({counts[many] / len(rounds):.0%})",
        )
        for many in range(max(counts) + 1)
    ]


def time_split(rounds: Sequence[RoundRecord]) -> list[ShareBar]:
    """Return a bar for each part of the time, including the prefill."""
    seconds = {part: sum(round.seconds.get(part, 0.0) for round in rounds) for part in TIME_PARTS}
    whole = sum(seconds.values())
    if not whole:
        return []
    return [
        ShareBar(part, spent / whole, f"{duration(spent)} ({spent / whole:.0%})")
        for part, spent in seconds.items()
    ]


def facts_of(trace: Trace) -> dict[str, str]:
    """Return what a reader wants to know first."""
    header, rounds = trace.header, trace.rounds[1:]
    drafted = sum(len(round.draft_tokens) for round in rounds)
    accepted = sum(len(round.path) for round in rounds)
    committed = sum(len(round.committed) for round in rounds)
    seconds = sum(map(total, rounds))
    return {
        "strategy": header.strategy,
        "verifier": f"{header.verifier}: {PROMISES.get(header.guarantee, header.guarantee)}",
        "new tokens": f"{len(trace.token_ids):,}",
        "rounds": f"{len(rounds):,}",
        "tokens a round": ratio(committed, len(rounds)),
        "drafts accepted": share(accepted, drafted),
        "tokens a second": ratio(committed, seconds, digits=1),
        "ended by": _ending(trace),
        "model": header.model,
        "on": f"{header.dtype}, {header.device}{', exact' * header.exact}",
    }


def settings_of(header: Header) -> dict[str, dict[str, str]]:
    """Return the tables at the foot: options, limits and versions, by their titles."""
    tables: dict[str, Mapping[str, Any]] = {
        "Options": {**header.options, "stop policy": header.stop_policy},
        "Limits and sampling": {**header.limits, "seed": header.seed},
        "Versions": {**header.versions, "traced": header.created},
    }
    return {
        title: {name.replace("_", " "): words(value) for name, value in table.items()}
        for title, table in tables.items()
    }


def words(value: object) -> str:
    """Return a value as people write it."""
    if value is None:
        return UNKNOWN
    if isinstance(value, list | tuple):
        return ", ".join(map(repr, value)) or UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """Return a time in a suitable unit."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def ratio(part: float, whole: float, digits: int = 2) -> str:
    """Return a quotient, or a dash for anything over nothing."""
    return f"{part / whole:,.{digits}f}" if whole else UNKNOWN


def share(part: int, whole: int) -> str:
    """Return a share with both counts, or a dash."""
    return f"{part / whole:.0%} of {whole:,}" if whole else UNKNOWN


def _ending(trace: Trace) -> str:
    if trace.end is None:
        return "being cut off"
    return trace.end.finish_reason or "interruption"

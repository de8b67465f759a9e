"""What the drafter lets the user choose."""

from __future__ import annotations

import attrs

from specframe import Check, at_least, option


@attrs.frozen
class PairsOptions:
    """Options of the drafter ``pairs``."""

    smoothing: float = option(
        0.1,
        help="how often every token counts as seen behind every other, all in all",
        unit="occurrences",
        check=Check("> 0", lambda value: value > 0),
    )
    steps: int = option(
        4,
        help="most tokens drafted in a round, under any stop policy",
        unit="tokens",
        check=at_least(1),
    )

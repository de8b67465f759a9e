"""What the drafter lets the user choose."""

from __future__ import annotations

from pathlib import Path

import attrs

from specframe import at_least, not_negative, option


@attrs.frozen
class ForecastOptions:
    """Options of the drafter ``forecast``."""

    weights: Path = option(help="the folder that `specframe train forecast` wrote")
    steps: int = option(
        4,
        help="most tokens drafted in a round, under any stop policy",
        unit="tokens",
        check=at_least(1),
    )
    threshold: float = option(
        0.3,
        help="stop drafting after a token whose top-1 probability lies below this",
        unit="probability",
        check=not_negative,
    )

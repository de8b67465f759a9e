"""What the early exit lets the user choose."""

from __future__ import annotations

import attrs

from specframe import at_least, not_negative, option


@attrs.frozen
class EarlyExitOptions:
    """Options of the drafter ``early-exit``.

    Raises OptionError for a value that is out of range.
    """

    exit_layer: int = option(
        help="target layers that draft; models trained for an early exit do not say where: sweep",
        unit="layers",
        check=at_least(1),
    )
    steps: int = option(
        6,
        help="most tokens drafted in a round, under any stop policy",
        unit="tokens",
        check=at_least(1),
    )
    threshold: float = option(
        0.6,
        help="stop drafting after a token whose top-1 probability lies below this",
        unit="probability",
        check=not_negative,
    )

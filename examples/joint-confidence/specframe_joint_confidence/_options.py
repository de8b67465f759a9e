"""What the stop policy lets the user choose."""

from __future__ import annotations

import attrs

from specframe import at_least, at_most, option


@attrs.frozen
class JointConfidenceOptions:
    """Options of the stop policy ``joint-confidence``."""

    least: float = option(
        0.4,
        help="stop drafting behind a token with which the product of all confidences of the "
        "draft falls below this",
        unit="probability",
        check=at_most(1),
    )
    steps: int = option(8, help="most levels drafted", unit="tokens", check=at_least(1))

"""What the stop policies let the user choose."""

from __future__ import annotations

import attrs

from specframe import at_least, not_negative, option


@attrs.frozen
class FixedOptions:
    """Options of the policy ``fixed``."""

    steps: int = option(6, help="levels drafted in a round", unit="tokens", check=at_least(1))


@attrs.frozen
class ConfidenceOptions:
    """Options of the policy ``confidence``."""

    steps: int = option(6, help="most levels drafted in a round", unit="tokens", check=at_least(1))
    threshold: float = option(
        0.6,
        help="stop after a token whose top-1 probability lies below this; "
        "above 1 stops after every first draft",
        unit="probability",
        check=not_negative,
    )

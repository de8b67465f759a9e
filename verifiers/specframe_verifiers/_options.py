"""What the verifiers let the user choose."""

from __future__ import annotations

import attrs

from specframe import not_negative, option


@attrs.frozen
class TypicalOptions:
    """Options of the verifier ``typical``; the defaults are Medusa's.

    Raises OptionError for a value that is out of range.
    """

    epsilon: float = option(
        0.09, help="a token this probable is always kept", unit="probability", check=not_negative
    )
    delta: float = option(
        0.3,
        help="share of exp(-entropy) that a token's probability must exceed",
        check=not_negative,
    )

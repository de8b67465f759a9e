"""What the verifier lets the user choose."""

from __future__ import annotations

import attrs

from specframe import Check, option


@attrs.frozen
class NearOptions:
    """Options of the verifier ``near``."""

    ratio: float = option(
        0.5,
        help="keep a drafted token that is at least this many times as likely as the likeliest; "
        "at 1 only the likeliest is kept",
        check=Check("above 0 and at most 1", lambda value: 0 < value <= 1),
    )

"""What the drafter lets the user choose."""

from __future__ import annotations

from pathlib import Path

import attrs

from specframe import not_negative, option


@attrs.frozen
class HeadsOptions:
    """Options of the drafter ``heads``."""

    weights: Path = option(
        help="the file heads.safetensors that `specframe train heads` writes"
    )
    threshold: float = option(
        0.3,
        help="stop drafting after a token whose top-1 probability lies below this",
        unit="probability",
        check=not_negative,
    )

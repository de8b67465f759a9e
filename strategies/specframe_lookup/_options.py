"""What prompt lookup lets the user choose."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs

from specframe import at_least, option


@attrs.frozen
class LookupOptions:
    """Options of the drafter ``prompt-lookup``.

    Raises OptionError for a value that is out of range, ValueError if ``min_ngram`` is above
    ``max_ngram``.
    """

    max_ngram: int = option(
        3, help="longest run of last tokens to look for", unit="tokens", check=at_least(1)
    )
    min_ngram: int = option(
        1, help="shortest run of last tokens to look for", unit="tokens", check=at_least(1)
    )
    steps: int = option(10, help="most tokens copied in a round", unit="tokens", check=at_least(1))
    match: Literal["latest", "leftmost"] = option(
        "latest", help="which place to copy from if the run occurs several times in the text"
    )
    reference: Path | None = option(
        None,
        help="file to copy from too: text, or .jsonl with a list of token ids a line; "
        "its first match is used",
    )

    def __attrs_post_init__(self) -> None:
        """Refuse a range that holds no length."""
        if self.min_ngram > self.max_ngram:
            raise ValueError(f"min_ngram {self.min_ngram} lies above max_ngram {self.max_ngram}")

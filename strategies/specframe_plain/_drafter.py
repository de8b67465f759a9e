"""Plain decoding: the yardstick, in the same loop as every strategy."""

from __future__ import annotations

from specframe import SequenceDrafter


class PlainDrafter(SequenceDrafter):
    """Guess nothing: every draft is the root alone, and the target decides each token."""

    most_levels = 0

    def guess(self, tokens: list[int], room: int) -> list[int]:
        """Return no guess."""
        return []

"""The ten lines."""

from specframe import SequenceDrafter


class LastTime(SequenceDrafter):
    """Guess what followed the last two tokens when they last stood side by side."""

    def guess(self, tokens: list[int], room: int) -> list[int]:
        """Look backwards for the last two tokens; where they are new, guess nothing."""
        for end in range(len(tokens) - 1, 1, -1):
            if tokens[end - 2 : end] == tokens[-2:]:
                return tokens[end : end + room]
        return []

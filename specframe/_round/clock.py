"""Where the time of a decode goes."""

from __future__ import annotations

import time


class Clock:
    """Split the time of a decode into its parts; owned by the target, read by rounds.

    ``lap(part)`` books the time since the last lap; what the caller does between two rounds is
    booked nowhere, because ``restart`` begins each round.
    """

    def __init__(self) -> None:
        """Start with nothing booked."""
        self._booked: dict[str, float] = {}
        self._last = time.perf_counter()

    def restart(self) -> None:
        """Begin a round: forget the time since the last lap."""
        self._booked = {}
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        """Book the time since the last lap under ``part``."""
        now = time.perf_counter()
        self._booked[part] = self._booked.get(part, 0.0) + now - self._last
        self._last = now

    def skip(self) -> None:
        """Forget the time since the last lap, as if it had not passed."""
        self._last = time.perf_counter()

    def take(self) -> dict[str, float]:
        """Return the seconds by part of this round, the rest under ``other``."""
        self.lap("other")
        return self._booked

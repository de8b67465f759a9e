"""The exit codes, which scripts rely on."""

from __future__ import annotations

from typing import Final

FINE: Final = 0
MISMATCH: Final = 1  # tokens that differ, or a prompt that failed
FAULT: Final = 2  # the user's, or a plug-in's
INTERRUPTED: Final = 130

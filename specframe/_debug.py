"""Whether SPECFRAME_DEBUG=1 asks for whole tracebacks and for a watch on drafters."""

from __future__ import annotations

import os


def is_debugging() -> bool:
    """Tell whether the user wants to see everything, however slow that is."""
    return os.environ.get("SPECFRAME_DEBUG") == "1"

"""What is installed here, and what this process may use."""

from __future__ import annotations

import os
from importlib import metadata


def version_of(distribution: str) -> str | None:
    """Return the installed version of a distribution, or None; imports nothing of it."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

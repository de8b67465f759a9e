"""Load fast: what is imported stays, so the collector need not look for garbage in it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Import and load with the cyclic collector off; later collections skip what is there.

    The collector walks all objects again and again while thousands of modules are imported.
    ``end`` undoes it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def end() -> None:
    """Give what was loaded back to the collector, for a process that keeps running."""
    gc.unfreeze()

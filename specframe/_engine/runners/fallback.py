"""What happens where a runner cannot record or compile: it continues without, or it stops."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from specframe._engine.shortage import ran_out_of_memory
from specframe._errors import RunnerError

# Called with what is lost, what failed, and its error; raises where the decode must stop.
FallBack = Callable[[str, str, Exception], None]


def go_on(lost: str, failed: str, error: Exception) -> None:
    """Warn: tokens are the same, and take longer."""
    warnings.warn(
        f"decoding continues without {lost}, more slowly: {_told(failed, error)}",
        RuntimeWarning,
        stacklevel=3,
    )


def stop(_lost: str, failed: str, error: Exception) -> None:
    """Raise RunnerError: what would run instead has other bits. A shortage of memory stays one."""
    if ran_out_of_memory(error):
        raise error
    raise RunnerError(_told(failed, error)) from error


def _told(failed: str, error: Exception) -> str:
    return f"{failed} ({type(error).__name__}: {' '.join(str(error).split())[:300]})"

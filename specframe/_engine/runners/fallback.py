"""What happens where a runner cannot record or compile: it continues without, or it stops.

A recording that fails ends all recording, and a compilation that fails ends all compiling, each
with one warning that says why; then the same code runs eagerly. Exact mode never does that: code
that is not compiled, or a pass outside its graph, may have other bits than the probe admitted. It
raises ``RunnerError``, and again the next time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

from specframe._engine.out_of_memory import ran_out_of_memory
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

"""How much memory a strategy takes, without what the others hold."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
IN_WORDS = {
    "cuda": (
        "torch.cuda.max_memory_allocated during the run, less what the other strategies hold "
        "between runs: weights and caches included"
    ),
    "cpu": (
        "highest resident set of the process during the run, less what was resident before the "
        "model was loaded and less what the other strategies hold between runs"
    ),
}


class Gauge(Protocol):
    """Read the memory in use now, and the most since ``mark``; None where it is not known."""

    def mark(self) -> None:
        """Forget the peak until now."""

    def now(self) -> int | None:
        """Return the bytes in use."""

    def peak(self) -> int | None:
        """Return the most bytes in use since ``mark``."""


class CudaGauge:
    """Read what torch has allocated on a CUDA device."""

    def __init__(self, device: torch.device) -> None:
        """Read ``device``."""
        self._device = device

    def mark(self) -> None:
        """Forget the peak until now."""
        torch.cuda.reset_peak_memory_stats(self._device)

    def now(self) -> int | None:
        """Return the bytes in use."""
        return torch.cuda.memory_allocated(self._device)

    def peak(self) -> int | None:
        """Return the most bytes in use since ``mark``."""
        return torch.cuda.max_memory_allocated(self._device)


class ResidentGauge:
    """Read the resident set of this process, where Linux tells it."""

    def mark(self) -> None:
        """Forget the peak until now, if the system lets us; else it stays the highest so far."""
        with contextlib.suppress(OSError):
            CLEAR.write_text("5", encoding="ascii")

    def now(self) -> int | None:
        """Return the bytes that are resident."""
        return _status("VmRSS")

    def peak(self) -> int | None:
        """Return the most bytes that were resident since ``mark``."""
        return _status("VmHWM")


def _status(name: str) -> int | None:
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) * 1024 if found else None


def gauge_for(device: torch.device) -> Gauge:
    """Return what reads the memory of a device."""
    return CudaGauge(device) if device.type == "cuda" else ResidentGauge()


class MemoryLedger:
    """Book what every owner holds between runs, so that a peak can leave the others out.

    Owners are strategies, and the weights that several of them share.
    """

    def __init__(self, gauge: Gauge, before: int, owner: str) -> None:
        """Begin: ``before`` bytes are nobody's that is measured, what came since is ``owner``'s."""
        self._gauge = gauge
        self._held: dict[str, int] = {"": before, owner: (gauge.now() or before) - before}

    @contextlib.contextmanager
    def booked(self, owner: str) -> Iterator[None]:
        """Book under ``owner`` what stays in use after the block."""
        before = self._gauge.now()
        try:
            yield
        finally:
            after = self._gauge.now()
            if before is not None and after is not None:
                self._held[owner] = self._held.get(owner, 0) + after - before

    def mark(self) -> None:
        """Begin to look for a peak."""
        self._gauge.mark()

    def peak(self, owners: Collection[str]) -> int | None:
        """Return the peak since ``mark``, less what others than ``owners`` hold."""
        peak = self._gauge.peak()
        if peak is None:
            return None
        return max(0, peak - sum(held for owner, held in self._held.items() if owner not in owners))

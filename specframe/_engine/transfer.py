"""The way between host and device: values are sent without waiting, and read a packet at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")


class Reading:
    """Read values of a device: begin now, wait later.

    A device falls idle while the host waits for it, so a round has few readings. A drafter that
    reads while it drafts had best begin before the next layers and wait after them: the values are
    there as soon as they are computed, not when all that was sent is done. On a CPU it costs
    nothing. Raises no error of specframe's.
    """

    def __init__(self, *values: Tensor) -> None:
        """Begin to copy ``values``, which may be overwritten by later work on the same stream."""
        self._event: torch.cuda.Event | None = None
        if values[0].is_cpu:
            self._there = values
            return
        if not values[0].is_cuda:
            self._there = tuple(value.cpu() for value in values)
            return
        self._there = tuple(
            torch.empty(value.shape, dtype=value.dtype, pin_memory=True).copy_(
                value, non_blocking=True
            )
            for value in values
        )
        self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._event.record(torch.cuda.current_stream(values[0].device))

    def wait(self) -> tuple[Tensor, ...]:
        """Return the values on the host."""
        # Asking costs less time than sleeping until the driver wakes the process.
        while self._event is not None and not self._event.query():  # type: ignore[no-untyped-call]
            pass
        return self._there


def to_device(values: Any, device: torch.device) -> Tensor:
    """Return numbers as a tensor on ``device``, without waiting for work that was sent before.

    ``values`` is a tensor, or nested lists of numbers. Raises no error of specframe's.
    """
    tensor = values if isinstance(values, Tensor) else torch.tensor(values)
    if tensor.is_cpu and device.type == "cpu":
        return tensor
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)


def padded(
    rows: Sequence[Sequence[Item]], fill: Item, *, width: int | None = None
) -> list[list[Item]]:
    """Return the rows at one width, that of the longest unless it is said, filled at their ends."""
    wide = max(map(len, rows)) if width is None else width
    return [[*row, *[fill] * (wide - len(row))] for row in rows]

"""What the graph runner records on: CUDA graphs, or a stand-in that runs on any machine.

Inputs are copied into buffers and answers are copied out, because recordings share one pool: a
replay may overwrite what another one answered. A cache keeps its addresses when rows leave and when
it is opened again; when it must grow, its recordings are dropped.

``StandIn`` runs the same state machine on a CPU. It records nothing, calls the code on the same
buffers, and spoils what every other recording answered before. ``tests/test_graph*.py``,
``tests/test_fusion.py`` and ``tests/test_transfer.py`` use it; other tests do under
``SPECFRAME_RUNNER=graph``.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from specframe._engine.runners.fallback import FallBack, go_on

Outputs = tuple[Tensor, ...]
Body = Callable[[], Outputs]
WARM_UPS = 2  # libraries choose kernels and take workspaces in the first calls, outside the graph


class RecordingDevice(Protocol):
    """Make recordings.

    A body reads and writes tensors that stay where they are, and gives the same when it is run
    twice. What a recording returns is the same tensors at every replay: the next replay, of this
    recording or another one, may overwrite them.
    """

    captured: bool

    def record(self, body: Body) -> Body:
        """Return a replay of ``body``; raises RuntimeError where it cannot be recorded."""

    def kernels(self) -> AbstractContextManager[object]:
        """Return the context in which attention is computed, recorded or not."""


class StandIn:
    """Stand in for a device that records: calls the body, and overwrites outputs as it would.

    Recordings share memory there, so a replay spoils what all others returned before.
    """

    captured = False

    def __init__(self) -> None:
        """Start without recordings."""
        self._outputs: list[weakref.ref[Tensor]] = []

    def record(self, body: Body) -> Body:
        """Run the body once, as a warm-up does; afterwards, run it into the same outputs."""
        outputs = tuple(output.clone() for output in body())
        self._outputs += [weakref.ref(output) for output in outputs]

        def replay() -> Outputs:
            values = body()
            self._spoil()
            for output, value in zip(outputs, values, strict=True):
                output.copy_(value)
            return outputs

        return replay

    def _spoil(self) -> None:
        self._outputs = [known for known in self._outputs if known() is not None]
        for known in self._outputs:
            output = known()
            if output is not None:
                output.fill_(float("nan") if output.is_floating_point() else -1)

    def kernels(self) -> AbstractContextManager[object]:
        """Leave attention unchanged."""
        return contextlib.nullcontext()


class CudaGraphs:
    """Record CUDA graphs that share one pool of memory.

    Sharing is sound because graphs run one after another and nobody reads an output after the
    next replay.
    """

    captured = True

    def __init__(self, device: torch.device) -> None:
        """Take a pool and a stream on ``device``."""
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def record(self, body: Body) -> Body:
        """Warm up on a side stream, then capture there."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream), self.kernels():
            for _ in range(WARM_UPS):
                body()
        current.wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        try:
            outputs = self._recorded(graph, body)
        except BaseException:
            torch.cuda.set_stream(current)  # a capture that fails leaves the side stream in force
            raise

        def replay() -> Outputs:
            graph.replay()
            return outputs

        return replay

    def _recorded(self, graph: torch.cuda.CUDAGraph, body: Body) -> Outputs:
        # Other threads may allocate meanwhile: that is no fault of this capture.
        capturing = torch.cuda.graph(
            graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
        )
        with capturing, self.kernels():
            return body()

    def kernels(self) -> AbstractContextManager[object]:
        """Keep cuDNN out: it plans again for every shape and promises no bits."""
        backends = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
        context: AbstractContextManager[object] = sdpa_kernel(backends)
        return context


class Recorder:
    """Decide whether steps are recorded or run as they are; shared by an engine and its twins.

    One recording that fails ends all recording, with one warning: a step that cannot be recorded
    in one shape rarely can in another, and half a decode on recordings is hard to reason about.
    """

    def __init__(self, device: RecordingDevice, fall_back: FallBack = go_on) -> None:
        """Record on ``device``; where ``fall_back`` raises, nothing ever runs unrecorded."""
        self.device, self._fall_back = device, fall_back
        self.has_failed = False
        self.count = 0

    def record(self, body: Body, what: object) -> Body | None:
        """Return a recording of ``body``, or None once recording has failed."""
        if self.has_failed:
            return None
        try:
            replay = self.device.record(body)
        except RuntimeError as error:
            self._fall_back("recorded graphs", f"{what} could not be recorded", error)
            self.has_failed = True
            return None
        self.count += 1
        return replay

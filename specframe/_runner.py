"""The choice of a runner: eager on a CPU, recorded graphs of fused layers on CUDA."""

from __future__ import annotations

import os

from specframe._engine import Engine, LayerEngine
from specframe._errors import InputError

VARIABLE = "SPECFRAME_RUNNER"
RUNNERS = ("eager", "graph", "fused")


def runner_on(device_type: str) -> str:
    """Return the name of the runner on such a device: ``SPECFRAME_RUNNER``, else the default."""
    default = "fused" if device_type == "cuda" else "eager"
    name = os.environ.get(VARIABLE) or default
    if name not in RUNNERS:
        raise InputError(f"{VARIABLE} must be one of {', '.join(RUNNERS)}, got {name!r}")
    return name


def on_runner(engine: Engine) -> Engine:
    """Return an engine on the same weights, on the runner that fits its device.

    The environment variable ``SPECFRAME_RUNNER`` may name another one. ``graph`` records what
    ``eager`` runs, ``fused`` compiles the layers for it at the first decode, which takes a while.
    On a CPU both round shapes and copy as on CUDA, but record nothing: they are there for tests.
    """
    name = runner_on(engine.device.type)
    if name == "eager" or not isinstance(engine, LayerEngine):
        return engine
    return _recorded(engine, is_fused=name == "fused")


def _recorded(engine: LayerEngine, *, is_fused: bool) -> Engine:
    # torch's compiler takes a second to import, which eager decoding must not pay.
    from specframe._fusion import Fusion  # noqa: PLC0415
    from specframe._graph import GraphEngine  # noqa: PLC0415
    from specframe._recording import CudaGraphs, Recorder, StandIn  # noqa: PLC0415

    capturer = CudaGraphs(engine.device) if engine.device.type == "cuda" else StandIn()
    return GraphEngine(engine.split, Recorder(capturer), Fusion() if is_fused else None)

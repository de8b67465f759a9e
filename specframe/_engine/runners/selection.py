"""Which runner is used: eager on a CPU, recorded graphs of fused layers on CUDA."""

from __future__ import annotations

import os

from specframe._engine.engine import Engine, LayerEngine
from specframe._engine.runners.fallback import go_on, stop
from specframe._errors import InputError

VARIABLE = "SPECFRAME_RUNNER"
RUNNERS = ("eager", "graph", "fused")  # each does all that those before it do, and more


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
    return _on(runner_on(engine.device.type), engine, is_exact=False)


def on_exact_runner(engine: Engine, name: str) -> Engine:
    """Return an engine on the same weights, on runner ``name``, for passes of exact mode.

    Those have few shapes already. None is rounded: the buffers would bound that, and their size
    depends on the strategy. A recording or a compilation that fails is a RunnerError.
    """
    return _on(name, engine, is_exact=True)


def _on(name: str, engine: Engine, *, is_exact: bool) -> Engine:
    if name == "eager" or not isinstance(engine, LayerEngine):
        return engine
    # torch's compiler takes a second to import, which eager decoding must not pay.
    from specframe._engine.runners.fusion import Fusion  # noqa: PLC0415
    from specframe._engine.runners.graph import GraphEngine  # noqa: PLC0415
    from specframe._engine.runners.recording import CudaGraphs, Recorder, StandIn  # noqa: PLC0415
    from specframe._engine.runners.static import Shape  # noqa: PLC0415

    fall_back, shape_of = (stop, Shape.as_given) if is_exact else (go_on, Shape.of)
    recorded_on = CudaGraphs(engine.device) if engine.device.type == "cuda" else StandIn()
    fusion = Fusion(fall_back=fall_back) if name == "fused" else None
    return GraphEngine(engine.split, Recorder(recorded_on, fall_back), fusion, shape_of)

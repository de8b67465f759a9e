"""Exact mode on the runner that a device has, or on the next one whose bits the probe admits."""

from __future__ import annotations

import warnings

import attrs

from specframe._engine.engine import Engine
from specframe._engine.runners.selection import RUNNERS, on_exact_runner, runner_on
from specframe._errors import RunnerError
from specframe._exact.exact_engine import ExactEngine
from specframe._exact.exact_probe import NotExactError, admit_exact


@attrs.frozen(eq=False)
class Admitted:
    """Hold an engine in exact mode and the runner that it is on.

    ``shortfall`` says why each runner that the device prefers was refused.
    """

    engine: ExactEngine
    runner: str
    shortfall: str


def exact_on_runner(engine: Engine) -> ExactEngine:
    """Return ``engine`` in exact mode, as ``admit_on_runner`` does; warn of another runner."""
    admitted = admit_on_runner(engine)
    if admitted.shortfall:
        warnings.warn(
            f"exact mode runs on the {admitted.runner} runner, more slowly: {admitted.shortfall}",
            RuntimeWarning,
            stacklevel=3,
        )
    return admitted.engine


def admit_on_runner(engine: Engine) -> Admitted:
    """Return ``engine`` in exact mode on its device's runner, or on the first simpler one admitted.

    Raises the ModelError of the eager one where that is refused too.
    """
    refusals: list[str] = []
    names = RUNNERS[: RUNNERS.index(runner_on(engine.device.type)) + 1]
    for name in reversed(names[1:]):
        try:
            exact = admit_exact(on_exact_runner(engine, name))
        except (NotExactError, RunnerError) as refusal:
            refusals.append(f"on the {name} runner, {refusal.reason}")
        else:
            return Admitted(exact, name, "; ".join(refusals))
    return Admitted(admit_exact(engine), names[0], "; ".join(refusals))

"""What is in force in a decoder."""

from __future__ import annotations

from typing import Any

import attrs

from specframe._assembly.blame import blaming
from specframe._assembly.declaration_checks import settings_of
from specframe._assembly.parts import Parts
from specframe._loading.loading import Loaded
from specframe._words import dtype_name


@attrs.frozen
class Setup:
    """Name everything that is in force in a decoder.

    ``strategy``, ``verifier`` and ``stop_policy`` are registered names, or the class's for an
    instance. ``options`` maps the strategy's own option names to values, defaults and metadata
    resolved; those of verifier and stop policy are not in it. ``guarantee`` is tokens, distribution
    or none. ``model`` is a folder, a hub id, a class's name, or demo. ``dtype`` is float64,
    float32, bfloat16 or float16, ``device`` as torch names it (cpu, cuda:0).
    """

    strategy: str
    options: dict[str, Any]
    verifier: str
    stop_policy: str
    guarantee: str
    model: str
    dtype: str
    device: str
    exact: bool


def setup_of(parts: Parts, loaded: Loaded, temperature: float = 0.0) -> Setup:
    """Describe the parts on a model, as they are in force at a temperature."""
    engine = loaded.engine
    named = parts.verifier.at(temperature)
    with blaming(parts):
        settings = settings_of(parts.drafter, "settings")
        guarantee = named.verifier.promise(is_greedy=temperature == 0)
    return Setup(
        parts.strategy,
        {**parts.options, **settings},
        named.name,
        parts.stop.name,
        guarantee,
        loaded.origin.name,
        dtype_name(engine.dtype),
        str(engine.device),
        engine.exact,
    )

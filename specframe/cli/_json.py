"""JSON as specframe writes it: fixed keys, no constants outside of JSON, versions named."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from specframe._machine import version_of

if TYPE_CHECKING:
    from specframe import Result, Setup

SCHEMA = 1


def versions() -> dict[str, str | None]:
    """Return the versions that a result depends on."""
    named = {name: version_of(name) for name in ("specframe", "torch", "transformers")}
    return named | {"python": platform.python_version()}


def result_object(prompt: str, result: Result, setup: Setup) -> dict[str, Any]:
    """Return what ``specframe decode --json`` prints; ``prompt`` as it was typed."""
    return {
        "schema": SCHEMA,
        "prompt": prompt,
        "prompt_token_ids": result.prompt_token_ids,
        "token_ids": result.token_ids,
        "text": result.text,
        "finish_reason": result.finish_reason,
        "strategy": setup.strategy,
        "options": setup.options,
        "verifier": setup.verifier,
        "stop_policy": setup.stop_policy,
        "model": setup.model,
        "dtype": setup.dtype,
        "device": setup.device,
        "seed": result.seed,
        "versions": versions(),
        "metrics": result.metrics.as_dict(),
    }

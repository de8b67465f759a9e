"""The bundled demo model: a small code model with a Kangaroo adapter, and its build."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from specframe import hookimpl

if TYPE_CHECKING:
    import typer

    from specframe_demo._build import build, read_prompts
    from specframe_demo._measure import measure_speed

__all__ = ["build", "measure_speed", "read_prompts"]

# Imported on first use: listing plug-ins imports this module, and must not import torch.
_HOMES = {"build": "_build", "measure_speed": "_measure", "read_prompts": "_build"}


def __getattr__(name: str) -> object:
    """Import the public names that need torch on their first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


@hookimpl
def specframe_register_commands(app: typer.Typer) -> None:
    """Add ``specframe demo build``."""
    from specframe_demo._commands import demo  # noqa: PLC0415 (only the command line needs it)

    app.add_typer(demo, name="demo")

"""The bundled demo model: a small code model with a Kangaroo adapter, and what rebuilds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def specframe_register_commands(app: typer.Typer) -> None:
    """Add ``specframe demo build``."""
    from specframe_demo._commands import demo  # noqa: PLC0415 (only the command line needs it)

    app.add_typer(demo, name="demo")

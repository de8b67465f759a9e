"""The bundled demo model: a small code model with a Kangaroo adapter, and what rebuilds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from specframe import hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def specframe_register_commands(app: typer.Typer) -> None:
    """Add ``specframe demo build``."""
    import typer  # noqa: PLC0415 (only the command line needs it)

    demo = typer.Typer(help="The bundled demo model.", no_args_is_help=True)

    @demo.command()
    def build(output: Annotated[Path, typer.Option(help="folder to write the model to")]) -> None:
        """Train the demo model and its adapter again, from the standard library's sources."""
        from specframe_demo._build import build as train  # noqa: PLC0415 (imports torch)

        train(output)

    app.add_typer(demo, name="demo")

"""``specframe demo``: rebuild the demo model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

demo = typer.Typer(help="The bundled demo model.", no_args_is_help=True)


@demo.callback()
def _demo() -> None:
    """Keep ``build`` a command of its own while it is the only one."""


@demo.command()
def build(
    output: Annotated[
        Path, typer.Option(help="folder to write the model to", metavar="DIR")
    ] = Path("specframe-demo"),
) -> None:
    """Train the demo model and its adapter again, from the standard library's sources."""
    from specframe_demo._build import build as train  # noqa: PLC0415 (imports torch)

    train(output)

"""``specframe trace view``: the page of a trace, or of two side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from specframe._errors import InputError
from specframe._files import write_atomically
from specframe.cli._display import say
from specframe.cli._exit_code import FINE

trace = typer.Typer(no_args_is_help=True)


@trace.callback()
def start() -> None:
    """Look at what `specframe decode --trace FILE.jsonl` has written."""


@trace.command("view")
def view(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="a trace")],
    other: Annotated[
        Path | None,
        typer.Argument(metavar="[OTHER.jsonl]", help="another one of the same prompt, to compare"),
    ] = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE.html", help="the page; absent: beside the trace"),
    ] = None,
) -> int:
    """Build the page of a trace, or compare two traces of the same prompt."""
    from specframe._trace import (  # noqa: PLC0415 (for those who look at traces)
        read_trace,
        render_comparison,
        render_trace,
    )

    page = output or beside(file, other)
    if page in {file, other}:
        raise InputError(f"--output is the trace itself ({page}): name another file")
    if other is None:
        text = render_trace(read_trace(file))
    else:
        names = (str(file), str(other))
        text = render_comparison((read_trace(file), read_trace(other)), names)
    write_atomically(page, text)
    say(str(page))
    return FINE


def beside(file: Path, other: Path | None) -> Path:
    """Return where the page goes where no ``--output`` is given."""
    name = file.stem if other is None else f"{file.stem}-and-{other.stem}"
    return file.with_name(f"{name}.html")

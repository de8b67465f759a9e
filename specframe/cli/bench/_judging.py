"""The bar that a terminal shows while a benchmark judges what differs."""

from __future__ import annotations

from typing import Any


def judging_bar(total: int) -> Any:
    """Return a bar of ``total`` steps that moves when it is told to, already on the screen."""
    from rich.console import Console  # noqa: PLC0415 (only a terminal pays for it)
    from rich.progress import MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("judging differences"),
        *Progress.get_default_columns()[1:2],
        MofNCompleteColumn(),
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
    )
    bar.add_task("judging", total=total)
    bar.start()
    return bar

"""The flags of ``specframe bench`` that no other command has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from specframe.cli import _completions

Strategies = Annotated[
    str,
    typer.Option(
        "--strategies",
        metavar="A,B:KEY=VALUE,...",
        help="who competes, with options by colons",
        autocompletion=_completions.contestants,
    ),
]
Prompts = Annotated[
    Path | None,
    typer.Option(
        "--prompts", metavar="FILE", help="Spec-Bench's questions or JSON lines; absent: bundled"
    ),
]
Tasks = Annotated[
    list[str] | None, typer.Option("--task", metavar="NAME", help="only prompts of this task")
]
Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="STRATEGY.KEY=VALUE",
        help="an option of a strategy",
        autocompletion=_completions.contestant_options,
    ),
]
Sweeps = Annotated[
    list[str] | None,
    typer.Option(
        "--sweep",
        metavar="STRATEGY.KEY=A,B,C",
        help="add a strategy for each value",
        autocompletion=_completions.contestant_options,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", min=0, max=2**64 - 1, metavar="N", help="of the sampling and of the order"
    ),
]
Repeats = Annotated[int, typer.Option("--repeats", min=1, metavar="N", help="runs of each prompt")]
Warmups = Annotated[
    int, typer.Option("--warmups", min=0, metavar="N", help="runs before, not counted")
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", min=1, metavar="N", help="prompts decoded together")
]
Output = Annotated[
    Path | None,
    typer.Option("--output", metavar="FOLDER", help="results; absent: ./bench-DATE-TIME"),
]
SpecBenchAnswers = Annotated[
    bool, typer.Option("--spec-bench-answers", help="write answers/ for Spec-Bench's scripts")
]
Profile = Annotated[
    bool, typer.Option("--profile", help="also say where the time goes, with Chrome traces")
]
Resume = Annotated[bool, typer.Option("--resume", help="continue the benchmark in --output")]

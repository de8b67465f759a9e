"""``specframe train NAME``: hand a request to a trainer plug-in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specframe._plugins.discovery import load_registry
from specframe.cli import _completions
from specframe.cli._flags import DeviceFlag, DtypeFlag

if TYPE_CHECKING:
    from specframe._plugins.component import Component
    from specframe.training import TrainRequest

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="what to train, such as kangaroo", autocompletion=_completions.trainers
    ),
]


def train(  # noqa: PLR0913 (one parameter a flag)
    name: Name,
    *,
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="MODEL", help="a folder or a hub id")
    ],
    data: Annotated[
        Path, typer.Option(metavar="PATH", help="JSON lines with text or messages, or a folder")
    ],
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="folder for the result and its checkpoints")
    ],
    exit_layer: Annotated[
        int | None, typer.Option(metavar="E", help="layers that draft; default 2")
    ] = None,
    max_steps: Annotated[int, typer.Option(metavar="N", help="optimiser steps")] = 1000,
    batch_size: Annotated[int, typer.Option(metavar="N", help="windows a step")] = 8,
    sequence_length: Annotated[int, typer.Option(metavar="N", help="tokens a window")] = 512,
    learning_rate: Annotated[
        float | None,
        typer.Option(metavar="X", help="highest learning rate; absent: the trainer's own choice"),
    ] = None,
    eval_data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="held-out data, read like --data")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="seed of weights and order")] = 0,
    dtype: DtypeFlag = "auto",
    device: DeviceFlag = "auto",
    adapter: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="start from this trained one")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the run in --output")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check all, train nothing")] = False,
) -> None:
    """Train a drafter's weights for a model; the model itself stays as it is."""
    trainer = load_registry().trainer(name)
    from specframe.training import TrainRequest  # noqa: PLC0415 (only this command needs it)

    request = TrainRequest(
        model=model,
        data=data,
        output=output,
        exit_layer=exit_layer,
        max_steps=max_steps,
        batch_size=batch_size,
        sequence_length=sequence_length,
        learning_rate=learning_rate,
        eval_data=eval_data,
        seed=seed,
        dtype=dtype,
        device=device,
        adapter=adapter,
        resume=resume,
        dry_run=dry_run,
    )
    _run(trainer, request)


def _run(trainer: Component, request: TrainRequest) -> None:
    """Hand the request over; an error of the trainer names the trainer."""
    from specframe._assembly.blame import blaming_component  # noqa: PLC0415 (it imports torch)

    start = trainer.load()
    if not callable(start):
        raise trainer.fault(
            f"registers {start!r} as trainer '{trainer.name}', which cannot be called"
        )
    with blaming_component(trainer, passing=(typer.Abort, typer.Exit, typer.TyperException)):
        start(request)

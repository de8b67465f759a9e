"""The folder of a training run: what it holds, and whether a run may continue there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs

from specframe import InputError
from specframe.training import TrainRequest

RECORD = "run.json"
FINISHED = ("config.json", "model.safetensors")


@attrs.frozen
class RunFolder:
    """The folder of ``--output``: the adapter on top, the Trainer's checkpoints below it."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Return the folder of the Trainer's checkpoints."""
        return self.path / "checkpoints"

    def check_free(self) -> None:
        """Raise ``InputError`` rather than write over an earlier run."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"output {self.path} is a file; give a folder.")
        if any((self.path / name).exists() for name in FINISHED) or self.checkpoints.exists():
            raise InputError(
                f"output {self.path} holds a training run already; give another folder, or "
                "`--resume` to continue it."
            )

    def last_checkpoint(self) -> Path | None:
        """Return the newest complete checkpoint; one that a crash cut short is skipped."""
        found = {_step(path): path for path in self.checkpoints.glob("checkpoint-*")}
        complete = [step for step, path in found.items() if _is_complete(path)]
        return found[max(complete)] if complete else None

    def record(self, facts: dict[str, Any]) -> None:
        """Write down the facts that the checkpoints depend on."""
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        temporary = self.checkpoints / f".{RECORD}"
        temporary.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        temporary.replace(self.checkpoints / RECORD)

    def check_same(self, facts: dict[str, Any]) -> None:
        """Raise ``InputError`` naming what differs from the run to resume."""
        try:
            earlier = json.loads((self.checkpoints / RECORD).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        for name, value in facts.items():
            if earlier.get(name) != value:
                raise InputError(
                    f"The run in {self.path} has {name} {earlier.get(name)} and not {value}; "
                    "resume it with what it began with, or give another output."
                )


def facts_of(request: TrainRequest, **found: Any) -> dict[str, Any]:
    """Return what a resumed run must have in common with its first part."""
    names = ("sequence_length", "batch_size", "gradient_accumulation", "seed")
    return {**{name: getattr(request, name) for name in names}, **found}


def _step(path: Path) -> int:
    number = path.name.rpartition("-")[2]
    return int(number) if number.isdigit() else -1


def _is_complete(path: Path) -> bool:
    """Tell whether the file that the Trainer writes last is complete."""
    try:
        json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True

"""Answers as Spec-Bench's own scripts read them: one file for each strategy."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from specframe._files import to_line, write_atomically
from specframe.bench._records import Header, PromptRecord, Run, Turn

UNSAFE = re.compile(r"[^A-Za-z0-9._=,+-]+")
LONGEST_NAME = 120  # of a file, its ending left out


def file_names(strategies: Sequence[str]) -> dict[str, str]:
    """Return a file name, without ending, for each strategy: safe on any system, and unique."""
    return {name: _file_name(name) for name in strategies}


def _file_name(name: str) -> str:
    safe = UNSAFE.sub("_", name.replace(":", ",")).strip(".")
    if safe.replace(",", ":") == name and len(safe) <= LONGEST_NAME:
        return safe
    # Something was lost, so that two names might meet.
    return f"{safe[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def write_answers(header: Header, runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write ``answers/NAME.jsonl`` for every strategy that was loaded; return the files.

    Each repeat is one of Spec-Bench's ``choices``; a failed run is left out, and so is a prompt
    without any other. Lines are in the order of the prompts.
    """
    folder.mkdir(exist_ok=True)
    names = file_names([each.name for each in header.strategies if each.error is None])
    paths = []
    for strategy, name in names.items():
        lines = [
            to_line(answer(prompt, own, model_id=name)) + "\n"
            for prompt in header.prompts
            if (own := _good_runs(runs, strategy, prompt))
        ]
        path = folder / f"{name}.jsonl"
        write_atomically(path, "".join(lines))
        paths.append(path)
    return paths


def answer(prompt: PromptRecord, runs: Sequence[Run], *, model_id: str) -> dict[str, Any]:
    """Return one line: the keys and their meaning are Spec-Bench's."""
    identity = f"{model_id}/{prompt.id}"
    return {
        "question_id": prompt.id,
        "category": prompt.task,
        "answer_id": hashlib.sha256(identity.encode()).hexdigest()[:22],
        "model_id": model_id,
        "choices": [repeat_entry(index, run.turns) for index, run in enumerate(runs)],
        "tstamp": time.time(),
    }


def repeat_entry(index: int, turns: Sequence[Turn]) -> Mapping[str, Any]:
    """Return one of ``choices``; lists but ``accept_lengths`` have an item for each turn.

    ``accept_lengths`` are the tokens that each step committed, the one that the target chose
    itself included, over all turns: 1 for every step of plain decoding.
    """
    lengths = [accept_lengths(turn) for turn in turns]
    return {
        "index": index,
        "turns": [turn.text if turn.text is not None else str(turn.token_ids) for turn in turns],
        "decoding_steps": [len(steps) for steps in lengths],
        "new_tokens": [len(turn.token_ids) for turn in turns],
        "wall_time": [turn.seconds.total for turn in turns],
        "accept_lengths": [length for steps in lengths for length in steps],
    }


def accept_lengths(turn: Turn) -> list[int]:
    """Return how many tokens each step of the target committed.

    The prefill of specframe chooses a token and drafts none, which Spec-Bench does not count as a
    step of a speculative method; where nothing else ran it is the only step there is. What
    transformers drafts before its first pass is part of that pass.
    """
    if turn.rounds is None:
        return list(turn.chunks or [1])
    return turn.steps or [1]


def _good_runs(runs: Sequence[Run], strategy: str, prompt: PromptRecord) -> list[Run]:
    own = [run for run in runs if run.strategy == strategy and run.prompt == prompt.id]
    return sorted((run for run in own if run.error is None), key=lambda run: run.repeat)

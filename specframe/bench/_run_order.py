"""In which order runs happen: interleaved, so that all strategies meet the same machine."""

from __future__ import annotations

import random
from collections.abc import Sequence

import attrs

from specframe.bench._prompts import BenchPrompt


@attrs.frozen
class Slot:
    """Say what runs next: a strategy on the prompts that are decoded together."""

    strategy: str
    prompts: tuple[BenchPrompt, ...]
    repeat: int
    batch: int | None
    order: int


def slots(
    strategies: Sequence[str],
    prompts: Sequence[BenchPrompt],
    *,
    repeats: int,
    batch_size: int,
    seed: int,
) -> list[Slot]:
    """Return all runs: for each repeat and prompt, every strategy once, shuffled by ``seed``.

    The order depends on the arguments alone, so that a resumed benchmark keeps it.
    """
    batches = [prompts[start : start + batch_size] for start in range(0, len(prompts), batch_size)]
    found: list[Slot] = []
    for repeat in range(repeats):
        for number, batch in enumerate(batches):
            turn = list(strategies)
            random.Random(f"{seed}/{repeat}/{number}").shuffle(turn)  # noqa: S311 (no secret)
            for strategy in turn:
                place = None if batch_size == 1 else number
                found.append(Slot(strategy, tuple(batch), repeat, place, len(found)))
    return found

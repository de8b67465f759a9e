"""What happens between two rounds: finished rows leave, the others get their room."""

from __future__ import annotations

from typing import Protocol

from specframe._contracts.drafter import Drafter
from specframe._contracts.stop_policy import StopPolicy
from specframe._loop.draft_length import assign_room
from specframe._round.rows import Rows
from specframe._target.target import Target


class Keeper(Protocol):
    """Hold state per row, and drop that of rows that left."""

    def keep(self, kept: list[int]) -> None:
        """Keep only the rows at the indices ``kept``, in this order."""


def leave(rows: Rows, target: Target, drafter: Drafter, stop: StopPolicy, sampler: Keeper) -> bool:
    """Let finished rows go, give the others their room, and tell whether any is left.

    This is the one place where a batch shrinks. Raises PluginError where ``stop.limit`` does not
    return one int for each row.
    """
    kept = [i for i, row in enumerate(rows.active) if row.finish_reason is None]
    if kept and len(kept) < len(rows):
        rows.active = [rows.active[i] for i in kept]
        for keeper in (target, drafter, stop, sampler):
            keeper.keep(kept)
    if not kept:
        rows.active = []
        return False
    assign_room(rows, target, drafter, stop)
    return True

"""How long each row's draft may be in a round."""

from __future__ import annotations

from specframe._contracts.drafter import Drafter
from specframe._contracts.stop_policy import StopPolicy, limits_of
from specframe._round.rows import Rows
from specframe._target.target import Target


def assign_room(rows: Rows, target: Target, drafter: Drafter, stop: StopPolicy) -> None:
    """Decide how long each row's draft may be in the round that begins.

    That is the least of what the stop policy allows, what the drafter can do, what the budget
    leaves and what the cache has slots for.
    """
    limits = limits_of(stop, rows)
    free = target.begin_round(rows)
    for row, limit, slots in zip(rows.active, limits, free, strict=True):
        row.room = max(0, min(limit, drafter.most_levels, row.budget - 1, slots))

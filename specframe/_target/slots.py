"""The slots of a draft's nodes: which they are, whether they suffice, where accepted ones go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe._engine.placement import is_chain
from specframe._engine.transfer import padded, to_device
from specframe._errors import PluginError

if TYPE_CHECKING:
    from specframe._engine.engine import Engine
    from specframe._round.draft import Draft
    from specframe._round.rows import Rows
    from specframe._round.verdict import Verdict


def slots_of(rows: Rows, draft: Draft) -> list[list[int]]:
    """Return each row's slots in node order, the root's first; without an exit, the next ones."""
    if draft.exit is None:
        return [
            list(range(length - 1, length - 1 + size))
            for length, size in zip(rows.lengths, draft.size_list, strict=True)
        ]
    return [row[:size] for row, size in zip(draft.exit.slot_lists, draft.size_list, strict=True)]


def refuse_overflow(slots: list[list[int]], padding_slot: int) -> None:
    """Raise PluginError where a draft has more nodes than there are slots."""
    for place, taken in enumerate(slots):
        if max(taken) >= padding_slot:
            raise PluginError(
                f"malformed draft: row {place} has slots for {padding_slot - taken[0]} nodes, the "
                "root included, and was given more: a drafter of trees states its most nodes in "
                "its capabilities"
            )


def settle_ahead(engine: Engine, draft: Draft, verdict: Verdict, slots: list[list[int]]) -> None:
    """Move the accepted paths next to their roots on the device, before the host knows them.

    Stops may cut a path afterwards, but only of a row that has ended.
    """
    bases = [taken[0] for taken in slots]
    if all(map(is_chain, bases, draft.parent_lists, slots)):
        return  # each node is where it will stay
    deepest = max(map(max, draft.depths))
    sources = to_device(padded(slots, 0), engine.device).gather(1, verdict.path[:, :deepest])
    starts = to_device([base + 1 for base in bases], engine.device)
    engine.move(sources, starts, verdict.accepted)

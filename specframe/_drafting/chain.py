"""How a chain grows: one token a level, as far as room and stop policy let it.

Chains grow here and nowhere else. A drafter only says what it sees at a node (``look``): Kangaroo,
the early exit and the draft model differ in that one function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from specframe._contracts.stop_policy import Step, StopPolicy
from specframe._engine.transfer import Reading, to_device
from specframe._round.tree_builder import Nodes, TreeBuilder

if TYPE_CHECKING:
    from specframe._round.rows import Rows
    from specframe._sampling.sampler import Sampler

Look = Callable[[Nodes], tuple[Tensor, Tensor | None]]
"""Returns the drafter's un-tempered logits ``[batch, vocab]`` at one node of each row, and its
state ``[batch, hidden]`` there or None; at padding, anything."""


def grow_chain(  # noqa: PLR0913 (what a draft grows on)
    tree: TreeBuilder,
    rows: Rows,
    stop: StopPolicy,
    sampler: Sampler,
    look: Look,
    *,
    ahead: Callable[[Nodes], object] | None = None,
) -> Nodes:
    """Draft one token a level until the stop policy or the tree's room ends it in every row.

    ``look`` is asked at the roots, then at each level below which some row continues. ``ahead`` is
    what a drafter does with every new level, continued or not: a device computes it while the host
    waits for the stop policy's answer, where it gives one. Returns the newest nodes; ``look`` was
    asked at them only if the policy then refused a token. The tree's law is IID where
    ``sampler.wants_q``, else DETERMINISTIC. Raises PluginError where the policy answers neither
    None nor a bool for each row.
    """
    device = tree.root.tokens.device
    everyone = _all_rows(len(tree.rooms), device)
    nodes, level, goes_on = tree.root, 0, [room > 0 for room in tree.rooms]
    while any(goes_on):
        logits, state = look(nodes)
        level += 1
        active = everyone if all(goes_on) else to_device(goes_on, device)
        step = Step(level, logits, active, state)
        goes_on = step.admits(stop, goes_on)
        if not any(goes_on):
            break
        tokens, q = sampler.draft(rows, tree, level - 1, logits)
        tokens, confidence = tokens[:, None], step.confidence[:, None]
        probs = None if q is None else q[:, None]
        nodes = tree.add(tokens, active=goes_on, confidences=confidence, probs=probs)
        stopped = step.ends(stop)
        told = None if stopped is None else Reading(tokens, confidence, stopped)
        if ahead is not None:
            ahead(nodes)
        goes_on = [on and room > level for on, room in zip(goes_on, tree.rooms, strict=True)]
        if told is not None:  # else nothing hangs on it before the draft is verified
            known, beliefs, ends = told.wait()
            tree.tell(known, beliefs)
            goes_on = [on and not end for on, end in zip(goes_on, ends.tolist(), strict=True)]
    return nodes


@cache
def _all_rows(count: int, device: torch.device) -> Tensor:
    """Return the answer of nearly every level, which costs more to make than to keep."""
    return torch.ones(count, dtype=torch.bool, device=device)

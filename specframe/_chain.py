"""How a chain grows: one token a level, as far as room and stop policy let it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from specframe._stop_policy import Step, StopPolicy
from specframe._tree import Nodes, TreeBuilder

if TYPE_CHECKING:
    from specframe._rows import Rows
    from specframe._sampler import Sampler

Look = Callable[[Nodes], tuple[Tensor, Tensor | None]]
"""Answers the drafter's un-tempered logits ``[batch, vocab]`` behind one node a row, and its state
``[batch, hidden]`` there if it has one; padding may be answered with anything."""


def grow_chain(
    tree: TreeBuilder, rows: Rows, stop: StopPolicy, sampler: Sampler, look: Look
) -> Nodes:
    """Draft one token a level until the stop policy or the tree's room ends it in every row.

    ``look`` is asked behind the roots, then behind each level below which some row drafts on.
    Returns the newest nodes, which it was not asked about unless the policy then refused a token.
    The tree's law is IID where ``sampler.wants_q``, else DETERMINISTIC.
    """
    rooms = torch.tensor(tree.rooms, device=tree.root.tokens.device)
    nodes, level, active = tree.root, 0, rooms > 0
    while any(active.tolist()):
        logits, state = look(nodes)
        level += 1
        step = Step(level, logits, active, state)
        active = _unless(active, stop.before(step))
        drafting = active.tolist()
        if not any(drafting):
            break
        tokens, q = sampler.draft(rows, tree, level - 1, logits)
        nodes = tree.add(
            tokens[:, None],
            active=drafting,
            confidences=step.confidence[:, None],
            probs=None if q is None else q[:, None],
        )
        active = _unless(active & (rooms > level), stop.after(step))
    return nodes


def _unless(active: Tensor, stopped: Tensor | None) -> Tensor:
    return active if stopped is None else active & ~stopped

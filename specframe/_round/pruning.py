"""Leaving nodes out of a draft."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from specframe._engine.transfer import padded, to_device
from specframe._round.draft import Draft, Exit


def select_nodes(draft: Draft, kept: list[list[int]]) -> Draft:
    """Return the draft with the nodes ``kept`` of each row alone, renumbered in order.

    It has no q: what was drawn at random must not be left out.
    """
    index = torch.tensor(padded(kept, 0))
    parents = []
    for nodes, above in zip(kept, draft.parent_lists, strict=True):
        new_id = {old: new for new, old in enumerate(nodes)} | {-1: -1}
        parents.append([new_id[above[node]] for node in nodes])

    def pick(values: Tensor) -> Tensor:
        wide = to_device(index, values.device)
        if values.dim() == 3:
            wide = wide[..., None].expand(-1, -1, values.shape[-1])
        return values.gather(1, wide)

    exit = draft.exit
    return attrs.evolve(
        draft,
        probs=None,
        inner=None,
        tokens=pick(draft.tokens),
        parents=torch.tensor(padded(parents, 0)),
        sizes=torch.tensor([len(nodes) for nodes in kept]),
        confidences=None if draft.confidences is None else pick(draft.confidences),
        exit=None
        if exit is None
        else Exit(
            exit.layer,
            pick(exit.hidden),
            pick(exit.slots).tolist(),
            {layer: pick(tap) for layer, tap in exit.taps.items()},
        ),
    )

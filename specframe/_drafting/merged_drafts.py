"""One draft made of the rows of several."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from specframe._engine.transfer import padded
from specframe._round.draft import Draft


def merged(drafts: Sequence[Draft], owners: Sequence[int]) -> Draft:
    """Return a draft whose row ``b`` is that of ``drafts[owners[b]]``.

    It has neither exit nor confidences, which not all of the drafts need have.
    """
    rows = [(drafts[owner], row) for row, owner in enumerate(owners)]
    probs, inner = _q(rows)
    has_candidates = any(draft.candidates is not None for draft, _ in rows)
    return Draft(
        tokens=torch.tensor(padded([draft.token_lists[row] for draft, row in rows], 0)),
        parents=torch.tensor(padded([draft.parent_lists[row] for draft, row in rows], 0)),
        sizes=torch.tensor([draft.size_list[row] for draft, row in rows]),
        law=torch.tensor([int(draft.laws[row]) for draft, row in rows]),
        candidates=torch.tensor(
            padded([draft.candidate_lists[row] for draft, row in rows], fill=False)
        )
        if has_candidates
        else None,
        probs=probs,
        inner=inner,
    )


def _q(rows: Sequence[tuple[Draft, int]]) -> tuple[Tensor | None, Tensor | None]:
    """Return the rows' distributions and their nodes, padded to the most of a row."""
    given = [
        (draft.probs[row], draft.inner[row])
        if draft.probs is not None and draft.inner is not None
        else None
        for draft, row in rows
    ]
    like = next((pair[0] for pair in given if pair is not None), None)
    if like is None:
        return None, None
    most = max(len(pair[0]) for pair in given if pair is not None)
    probs = like.new_zeros(len(rows), most, like.shape[-1])
    inner = torch.full((len(rows), most), -1)
    for place, pair in enumerate(given):
        if pair is not None:
            probs[place, : len(pair[0])] = pair[0]
            inner[place, : len(pair[1])] = pair[1]
    return probs, inner

"""A verifier that lets near misses pass. It changes what the model says."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from specframe import Draft, Rows, Sampler, Scores, Verdict, Verifier, to_device
from specframe_near._options import NearOptions


class NearVerifier(Verifier):
    """Accept a drafted token x with p(x) >= ratio * max p, after the sampling filters.

    Lossy: the output is neither the target's tokens nor its distribution. Of all accepted paths the
    longest is kept, the first of several; behind it stands the target's own choice.
    """

    guarantee = "none"

    def __init__(self, options: NearOptions) -> None:
        """Accept by ``options.ratio``."""
        self._margin = math.log(options.ratio)

    def verify(self, rows: Rows, draft: Draft, scores: Scores, sampler: Sampler) -> Verdict:
        """Return the longest path of near misses, and the target's choice behind it."""
        warped = sampler.warped(rows, draft, scores)
        near = self._near(draft, warped)
        choices = sampler.choose(rows, draft, scores)
        paths = [longest(draft, row, near[row]) for row in range(len(rows))]
        last = [path[-1] if path else 0 for path in paths]
        following = [int(choices[row, node]) for row, node in enumerate(last)]
        return Verdict(paths, following, choices)

    def _near(self, draft: Draft, warped: Float[Tensor, "batch node vocab"]) -> list[list[bool]]:
        """Return for each node whether its token is near the likeliest behind its parent."""
        width = warped.shape[1]  # a draft may have more padding than was scored
        tokens = to_device(draft.tokens[:, :width], warped.device)
        above = to_device(draft.parents[:, :width], warped.device).clamp(min=0)
        rows = torch.arange(len(tokens), device=warped.device)[:, None]
        behind = warped[rows, above, tokens] - warped.amax(dim=-1)[rows, above]
        near: list[list[bool]] = (behind >= self._margin).tolist()
        return near


def longest(draft: Draft, row: int, near: list[bool]) -> list[int]:
    """Return the nodes of one row's longest path of near tokens."""
    parents, candidates = draft.parent_lists[row], draft.candidate_lists[row]
    ways: dict[int, list[int]] = {0: []}
    # A parent stands before its children, so one look at each node, in order, is enough.
    for node in range(1, len(parents)):
        above = parents[node]
        if above in ways and near[node] and candidates[node]:
            ways[node] = [*ways[above], node]
    return max(ways.values(), key=len)

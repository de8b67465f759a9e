"""A verifier that lets near misses pass. It changes what the model says."""

from __future__ import annotations

import math
from typing import ClassVar

from specframe import Draft, Guarantee, Rows, Sampler, Scores, Verdict, Verifier
from specframe_near._options import NearOptions


class NearVerifier(Verifier):
    """Accept a drafted token x with p(x) >= ratio * max p, after the sampling filters.

    Lossy: the output is neither the target's tokens nor its distribution. Of all accepted paths the
    longest is kept, the first of several; behind it stands the target's own choice.
    """

    guarantee: ClassVar[Guarantee] = "none"

    def __init__(self, options: NearOptions) -> None:
        """Accept by ``options.ratio``."""
        self._margin = math.log(options.ratio)

    def verify(self, rows: Rows, draft: Draft, scores: Scores, sampler: Sampler) -> Verdict:
        """Return the longest path of near misses, and the target's choice behind it."""
        warped = sampler.warped(rows, draft, scores)
        behind = (warped - warped.amax(dim=-1, keepdim=True)).tolist()  # [batch][node][vocab]
        choices = sampler.choose(rows, draft, scores)
        paths = [self._longest(draft, row, behind[row]) for row in range(len(rows))]
        last = [path[-1] if path else 0 for path in paths]
        following = [int(choices[row, node]) for row, node in enumerate(last)]
        return Verdict.of_paths(paths, following, choices)

    def _longest(self, draft: Draft, row: int, behind: list[list[float]]) -> list[int]:
        """Return the nodes of the longest path on which every token is near the likeliest."""
        tokens, parents = draft.token_lists[row], draft.parent_lists[row]
        candidates = draft.candidate_lists[row]
        ways: dict[int, list[int]] = {0: []}
        # A parent stands before its children, so one look at each node, in order, is enough.
        for node in range(1, len(tokens)):
            above = parents[node]
            if above not in ways or not candidates[node]:
                continue
            if behind[above][tokens[node]] >= self._margin:
                ways[node] = [*ways[above], node]
        return max(ways.values(), key=len)

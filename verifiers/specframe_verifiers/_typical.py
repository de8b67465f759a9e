"""Typical acceptance: keep what the target finds plausible. It changes what the model says."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from specframe import Draft, Rows, Sampler, Scores, Verdict, Verifier
from specframe_verifiers._options import TypicalOptions


class TypicalVerifier(Verifier):
    """Accept a token whose probability exceeds min(epsilon, delta * exp(-entropy)).

    Medusa, arXiv 2401.10774, section 2.3.1. Lossy: the output is neither the target's tokens nor
    its distribution. Of the longest accepted paths the likeliest is kept; the token after it is the
    target's own choice.
    """

    guarantee = "none"

    def __init__(self, options: TypicalOptions) -> None:
        """Accept by ``options.epsilon`` and ``options.delta``."""
        self._options = options

    def verify(self, rows: Rows, draft: Draft, scores: Scores, sampler: Sampler) -> Verdict:
        """Return the longest path of plausible tokens, and the target's choice after it."""
        logs = sampler.warped(rows, draft, scores).double().log_softmax(dim=-1)
        least = self._least(logs).tolist()
        choices = sampler.choose(rows, draft, scores)
        paths = [
            _longest(draft, place, logs[place], least[place]) for place in range(len(rows.active))
        ]
        following = [
            int(choices[place, path[-1] if path else 0]) for place, path in enumerate(paths)
        ]
        return Verdict(paths, following, choices)

    def _least(self, logs: Tensor) -> Tensor:
        """Return, for each node, the probability that its children must exceed."""
        entropy = torch.special.entr(logs.exp()).sum(dim=-1)
        least: Tensor = self._options.delta * (-entropy).exp()
        return least.clamp(max=self._options.epsilon)


def _longest(draft: Draft, place: int, logs: Tensor, least: list[float]) -> list[int]:
    tokens, parents = draft.token_lists[place], draft.parent_lists[place]
    candidates = draft.candidate_lists[place]
    ways: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
    for node in range(1, len(tokens)):
        above = parents[node]
        if above not in ways or not candidates[node]:
            continue
        likelihood = float(logs[above, tokens[node]])
        if math.exp(likelihood) > least[above]:
            so_far, path = ways[above]
            ways[node] = (so_far + likelihood, [*path, node])
    return max(ways.values(), key=lambda way: (len(way[1]), way[0]))[1]

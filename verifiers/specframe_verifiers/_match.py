"""Verifiers whose promise is the tokens themselves: ``greedy``, and ``match`` when sampling."""

from __future__ import annotations

from typing import ClassVar

from specframe import Draft, Guarantee, Reading, Rows, Sampler, Scores, Verdict, Verifier


class MatchVerifier(Verifier):
    """Let the target choose at every node, and walk from the root while a child was chosen.

    The choice is a draw with noise keyed by the token's index (Gumbel-max), so it is a function of
    model, prompt and seed: the same tokens as plain sampling, whatever was drafted.
    """

    guarantee: ClassVar[Guarantee] = "tokens"

    def verify(self, rows: Rows, draft: Draft, scores: Scores, sampler: Sampler) -> Verdict:
        """Return the deepest path of chosen tokens, and the choice behind it."""
        (choices,) = Reading(sampler.choose(rows, draft, scores)).wait()
        told = choices.tolist()
        paths = [walk(draft, row, told[row]) for row in range(len(told))]
        following = [
            choice[path[-1] if path else 0] for choice, path in zip(told, paths, strict=True)
        ]
        return Verdict(paths, following, choices)


class GreedyVerifier(MatchVerifier):
    """Walk from the root while a child holds the target's most likely token."""

    samples: ClassVar[bool] = False


def walk(draft: Draft, row: int, choices: list[int]) -> list[int]:
    """Return the accepted nodes of one row: the deepest way on which every node was chosen."""
    tokens, parents = draft.token_lists[row], draft.parent_lists[row]
    candidates = draft.candidate_lists[row]
    ways: dict[int, list[int]] = {0: []}
    # A parent stands before its children, so one look at each node, in order, walks the tree;
    # siblings may hold the same token, and then each of them is a way.
    for node in range(1, len(tokens)):
        above = parents[node]
        is_told = above in ways and tokens[node] == choices[above]
        if is_told and candidates[node]:
            ways[node] = [*ways[above], node]
    return max(ways.values(), key=len)

"""Greedy verification: keep what the target's argmax would have said."""

from __future__ import annotations

from typing import ClassVar

from specframe import Draft, Guarantee, Rows, Sampler, Scores, Verdict, Verifier


class GreedyVerifier(Verifier):
    """Walk from the root while a child holds the target's most likely token."""

    guarantee: ClassVar[Guarantee] = "tokens"

    def verify(self, rows: Rows, draft: Draft, scores: Scores, sampler: Sampler) -> Verdict:
        """Return the deepest path of argmaxes, and the argmax behind it."""
        _, choices = scores.best
        told = choices.tolist()
        paths = [walk(draft, row, told[row]) for row in range(len(told))]
        following = [
            choice[path[-1] if path else 0] for choice, path in zip(told, paths, strict=True)
        ]
        return Verdict.of_paths(paths, following, choices)


def walk(draft: Draft, row: int, choices: list[int]) -> list[int]:
    """Return the accepted nodes of one row: from each node on to the child it chose."""
    tokens, parents = draft.token_lists[row], draft.parent_lists[row]
    candidates = None if draft.candidates is None else draft.candidates[row].tolist()
    path: list[int] = []
    at = 0
    # A parent stands before its children, so one look at each node, in order, walks the tree.
    for node in range(1, len(tokens)):
        is_child = parents[node] == at and tokens[node] == choices[at]
        if is_child and (candidates is None or candidates[node]):
            path.append(node)
            at = node
    return path

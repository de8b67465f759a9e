"""Rejection sampling: the target's distribution, for any drafter."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from specframe import Draft, Law, Row, Rows, Sampler, Scores, Verdict, Verifier
from specframe_verifiers._match import MatchVerifier


class RejectionVerifier(Verifier):
    """Accept a drafted token x with probability min(1, p(x) / q(x)), else draw a correction.

    Chains: Leviathan et al., arXiv 2211.17192, algorithm 1. Trees: recursive rejection, where each
    refused child turns p into norm(max(p - q, 0)) and the next one is tried (SpecInfer, arXiv
    2305.09781, for independent draws; without replacement a refused token also leaves q). A child
    that was not drawn at random has q = 1 on itself.
    """

    guarantee = "distribution"
    needs_q = True

    def verify(self, rows: Rows, draft: Draft, scores: Scores, sampler: Sampler) -> Verdict:
        """Return the accepted path and a draw from what is left of p after it.

        Off the path, ``choices`` holds the target's most likely token.
        """
        if sampler.is_greedy:
            return MatchVerifier().verify(rows, draft, scores, sampler)
        draft.require_q()
        warped = sampler.warped(rows, draft, scores)
        choices = warped.argmax(dim=-1)
        paths, following = [], []
        for place, row in enumerate(rows.active):
            probs = warped[place].double().softmax(dim=-1)
            path, last = _Walk(row, draft, place, probs, sampler).down()
            for above, node in zip([0, *path], path, strict=False):
                choices[place, above] = draft.token_lists[place][node]
            choices[place, path[-1] if path else 0] = last
            paths.append(path)
            following.append(last)
        return Verdict(paths, following, choices)


@attrs.frozen
class _Walk:
    """Walk down one row's tree."""

    row: Row
    draft: Draft
    place: int
    probs: Tensor  # [node, vocab]
    sampler: Sampler

    def down(self) -> tuple[list[int], int]:
        """Return the accepted nodes, and the token drawn where the walk ends."""
        path: list[int] = []
        node: int | None = 0
        while node is not None:
            here = node
            node, left = self._step(here)
            if node is not None:
                path.append(node)
        return path, self.sampler.sample(self.row, here, left)

    def _step(self, node: int) -> tuple[int | None, Tensor]:
        """Try the children in the order in which they were drawn; return what is left of p."""
        p, tokens = self.probs[node], self.draft.token_lists[self.place]
        laws = _Siblings(self.draft.laws[self.place], self.draft.q(self.place, node))
        for draw, child in enumerate(self._children(node)):
            token = tokens[child]
            if not self.draft.candidate_lists[self.place][child]:
                laws.refuse(token)  # it is not tried, and cannot be drawn again
                continue
            q = laws.after(token, p)
            # A q without mass there would divide by zero: the core refuses such a draft.
            if self.sampler.accepts(self.row, node, draw, float(p[token] / q[token])):
                return child, p
            p = _normed((p - q).clamp(min=0), p)
            laws.refuse(token)
        return None, p

    def _children(self, node: int) -> Iterator[int]:
        for child, parent in enumerate(self.draft.parent_lists[self.place]):
            if parent == node:
                yield child


@attrs.define
class _Siblings:
    """Follow the distribution that each next sibling was drawn from."""

    law: Law
    q: Tensor | None

    def after(self, token: int, like: Tensor) -> Tensor:
        """Return q for a sibling that holds ``token``."""
        if self.law is Law.DETERMINISTIC or self.q is None:
            one_hot = torch.zeros_like(like)
            one_hot[token] = 1
            return one_hot
        return self.q.to(like.device, like.dtype)

    def refuse(self, token: int) -> None:
        """Remove a refused token from q, if it could not have been drawn again."""
        if self.law is Law.WITHOUT_REPLACEMENT and self.q is not None:
            left = self.q.clone()
            left[token] = 0
            self.q = _normed(left, left)


def _normed(mass: Tensor, otherwise: Tensor) -> Tensor:
    """Return mass as a distribution; only rounding can leave no mass at all."""
    total = mass.sum()
    return mass / total if bool(total > 0) else otherwise

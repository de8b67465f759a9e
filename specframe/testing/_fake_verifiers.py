"""Verifiers that each break one rule, most of them found in published code.

``FAKE_VERIFIERS`` maps the name of a check to what breaks its rule.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from specframe import Draft, Law, Row, Rows, Sampler, Scores, Verdict, Verifier


class Walker(Verifier):
    """Walk down a tree as recursive rejection sampling does; the steps are there to be spoiled."""

    guarantee = "distribution"
    needs_q = True

    def verify(self, rows: Rows, draft: Draft, scores: Scores, sampler: Sampler) -> Verdict:
        """Walk greedily at temperature 0, else by rejection."""
        if sampler.is_greedy:
            return self.greedy(draft, scores)
        probs = sampler.warped(rows, draft, scores).double().softmax(dim=-1)
        paths, following = [], []
        for place, row in enumerate(rows.active):
            path, token = self.walk(row, draft, place, probs[place], sampler)
            paths.append(path)
            following.append(token)
        return Verdict(paths, following, probs.argmax(dim=-1))

    def walk(
        self, row: Row, draft: Draft, place: int, probs: Tensor, sampler: Sampler
    ) -> tuple[list[int], int]:
        """Return the accepted nodes and the token after them."""
        path: list[int] = []
        tokens = draft.token_lists[place]
        while True:
            node = path[-1] if path else 0
            p = probs[node]
            q = draft.q(place, node)
            q = None if q is None else q.double()
            for draw, child in enumerate(self.children(draft, place, node)):
                token = tokens[child]
                source = self.source(draft.laws[place], q, token, p)
                if sampler.accepts(row, node, draw, float(p[token] / source[token])):
                    path.append(child)
                    break
                p = normed((p - self.refused(draft.laws[place], source, token)).clamp(min=0), p)
                q = self.after(draft.laws[place], q, token)
            else:
                return path, sampler.sample(row, node, p)

    def children(self, draft: Draft, place: int, node: int) -> Iterator[int]:
        """Yield the children of a node that may be accepted."""
        counts = draft.candidate_lists[place]
        for child, parent in enumerate(draft.parent_lists[place]):
            if child and parent == node and counts[child]:
                yield child

    def source(self, law: Law, q: Tensor | None, token: int, p: Tensor) -> Tensor:
        """Return the distribution that a child was drawn from."""
        if law is Law.DETERMINISTIC or q is None:
            return torch.nn.functional.one_hot(torch.tensor(token), len(p)).double()
        return q

    def refused(self, law: Law, source: Tensor, token: int) -> Tensor:
        """Return what a refused child takes from p."""
        return source

    def after(self, law: Law, q: Tensor | None, token: int) -> Tensor | None:
        """Return q for the next sibling."""
        if q is None or law is not Law.WITHOUT_REPLACEMENT:
            return q
        left = q.clone()
        left[token] = 0
        return normed(left, left)

    def greedy(self, draft: Draft, scores: Scores) -> Verdict:
        """Follow the argmax."""
        told = scores.logits.argmax(dim=-1)
        paths = [self.told_path(draft, place, told[place].tolist()) for place in range(len(told))]
        following = [int(told[place, path[-1] if path else 0]) for place, path in enumerate(paths)]
        return Verdict(paths, following, told)

    def told_path(self, draft: Draft, place: int, told: list[int]) -> list[int]:
        """Return the deepest path of told tokens."""
        ways: dict[int, list[int]] = {0: []}
        for node in range(1, draft.size_list[place]):
            above = draft.parent_lists[place][node]
            is_told = above in ways and draft.token_lists[place][node] == told[above]
            if is_told and draft.candidate_lists[place][node]:
                ways[node] = [*ways[above], node]
        return max(ways.values(), key=len)


class RejectsByHalf(Walker):
    """Take from p the whole of q only half, so that a refused token comes back too often."""

    def refused(self, law: Law, source: Tensor, token: int) -> Tensor:
        """Halve q."""
        return source if law is Law.DETERMINISTIC else source / 2


class NeverTriesAgain(Walker):
    """Forget what the first refused sibling took from p."""

    def walk(
        self, row: Row, draft: Draft, place: int, probs: Tensor, sampler: Sampler
    ) -> tuple[list[int], int]:
        """Sample from the target itself where there were siblings."""
        path, token = super().walk(row, draft, place, probs, sampler)
        node = path[-1] if path else 0
        if draft.laws[place] is Law.IID and len(list(self.children(draft, place, node))) > 1:
            token = sampler.sample(row, node, probs[node])
        return path, token


class KeepsQ(Walker):
    """Verify siblings drawn without replacement as if they had been drawn independently."""

    def after(self, law: Law, q: Tensor | None, token: int) -> Tensor | None:
        """Keep the refused token in q."""
        return q


class RatioOnTheLikeliest(Walker):
    """Verify chosen tokens by p/q with the softmax that they are the top of (EAGLE issue 329)."""

    def source(self, law: Law, q: Tensor | None, token: int, p: Tensor) -> Tensor:
        """Take the likeliest tokens for drawn ones."""
        return p**2 / (p**2).sum() + 1e-9 if q is None else q


class KeepsARefusedChoice(Walker):
    """Accept a chosen token with p, and leave it in p when it is refused."""

    def refused(self, law: Law, source: Tensor, token: int) -> Tensor:
        """Take nothing away."""
        return torch.zeros_like(source) if law is Law.DETERMINISTIC else source


class OnePastTheMismatch(Walker):
    """Accept the first token that the target did not say, too."""

    def told_path(self, draft: Draft, place: int, told: list[int]) -> list[int]:
        """Go one child further."""
        path = super().told_path(draft, place, told)
        return path + list(self.children(draft, place, path[-1] if path else 0))[:1]


class BonusFromTheRoot(Walker):
    """Take the token after the path from the wrong node."""

    def greedy(self, draft: Draft, scores: Scores) -> Verdict:
        """Say what follows the root, however deep the path is."""
        verdict = super().greedy(draft, scores)
        told = scores.logits.argmax(dim=-1)
        return Verdict(verdict.path_lists, told[:, 0].tolist(), told)


class TakesTheFirstTwin(Walker):
    """Follow the first of two siblings that hold the told token, however soon it ends."""

    def told_path(self, draft: Draft, place: int, told: list[int]) -> list[int]:
        """Go down without looking at the other ways."""
        path, tokens = [0], draft.token_lists[place]
        while below := [
            child
            for child in self.children(draft, place, path[-1])
            if tokens[child] == told[path[-1]]
        ]:
            path.append(below[0])
        return path[1:]


class AcceptsPadding(Walker):
    """Walk over everything that looks like a node."""

    def children(self, draft: Draft, place: int, node: int) -> Iterator[int]:
        """Yield children that do not count, too."""
        for child, parent in enumerate(draft.parent_lists[place]):
            if child and parent == node:
                yield child


class ReadsByItself(Walker):
    """Declare that nothing is read, and walk on the host."""

    capturable = True


class AsksTheHost(Walker):
    """Have the core walk, by choices that were brought to the host first."""

    capturable = True

    def verify(self, rows: Rows, draft: Draft, scores: Scores, sampler: Sampler) -> Verdict:
        """Return what is accepted, later than it could be."""
        return scores.accept(draft, sampler.choose(rows, draft, scores).cpu())


def normed(mass: Tensor, otherwise: Tensor) -> Tensor:
    """Return mass as a distribution."""
    total = mass.sum()
    return mass / total if bool(total > 0) else otherwise


FAKE_VERIFIERS: dict[str, tuple[type[Walker], ...]] = {
    "check_law_of_chains": (RejectsByHalf,),
    "check_law_of_independent_siblings": (NeverTriesAgain,),
    "check_law_of_siblings_without_replacement": (KeepsQ,),
    "check_law_of_chosen_trees": (RatioOnTheLikeliest, KeepsARefusedChoice),
    "check_greedy_walk": (OnePastTheMismatch, BonusFromTheRoot, TakesTheFirstTwin),
    "check_padding_is_never_accepted": (AcceptsPadding,),
    "check_capturable_reads_nothing": (ReadsByItself, AsksTheHost),
}

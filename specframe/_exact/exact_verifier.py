"""Exact mode's verifier: what it accepts of a tree is confirmed on the rows of a chain."""

from __future__ import annotations

from specframe._contracts.verifier import Verifier
from specframe._exact.exact_target import ExactTarget
from specframe._round.draft import Draft
from specframe._round.rows import Rows
from specframe._round.scores import Scores
from specframe._round.verdict import Verdict
from specframe._sampling.sampler import Sampler
from specframe._target.target import Target


def verifier_on(target: Target, verifier: Verifier) -> Verifier:
    """Return the verifier that decodes on ``target``; an exact one confirms the paths of trees."""
    target.accept_ahead(capturable=verifier.capturable)
    return ExactVerifier(verifier, target) if isinstance(target, ExactTarget) else verifier


class ExactVerifier(Verifier):
    """Let another verifier walk the draft, then confirm what it accepted on chain rows.

    A verifier that promises tokens is asked again, with the chain's logits, and the answer is at
    most as deep; one that draws random numbers for its acceptance is asked once.
    """

    def __init__(self, verifier: Verifier, target: ExactTarget) -> None:
        """Wrap ``verifier``; ``target`` scores paths again."""
        self._verifier, self._target = verifier, target
        self.guarantee = verifier.guarantee
        self.needs_q = verifier.needs_q

    def verify(self, rows: Rows, draft: Draft, scores: Scores, sampler: Sampler) -> Verdict:
        """Return the verdict on the draft, as far as the chain rows confirm it."""
        verdict = self._verifier.verify(rows, draft, scores, sampler)
        paths = verdict.path_lists
        if self._target.stands(rows, draft, paths):
            return verdict
        chains, rescored = self._target.rescore(rows, draft, paths)
        if self._verifier.promise(is_greedy=sampler.is_greedy) != "tokens":
            return verdict
        confirmed = self._verifier.verify(rows, chains, rescored, sampler)
        return _on_draft(confirmed, verdict)


def _on_draft(confirmed: Verdict, verdict: Verdict) -> Verdict:
    """Say a verdict on the chains of ``verdict``'s paths in the draft's own nodes."""
    choices = verdict.choices.clone()
    paths = []
    for row, path in enumerate(verdict.path_lists):
        nodes = [0, *path]
        choices[row, nodes] = confirmed.choices[row, : len(nodes)]
        paths.append(path[: len(confirmed.path_lists[row])])
    return Verdict(paths, confirmed.next_tokens, choices)

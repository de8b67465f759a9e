"""Exact mode, above the engine: what a tree committed must be what a chain would have committed."""

from __future__ import annotations

from torch import Tensor

from specframe._contracts.verifier import Verifier
from specframe._engine.engine import Engine, Opener
from specframe._engine.model_origin import Origin
from specframe._exact.engine import ExactEngine
from specframe._round.draft import Draft
from specframe._round.rows import Rows
from specframe._round.scores import Scores
from specframe._round.verdict import Verdict
from specframe._sampling.sampler import Sampler
from specframe._target.slots import slots_of
from specframe._target.target import Target


class ExactTarget(Target):
    """A target whose commits hold what a chain would have: paths of trees are scored again.

    A path that does not stand in the slots right behind its root has its keys in other slots than
    plain decoding, and sums over keys depend on their order. To be used with an ExactVerifier:
    what it confirms always stands in place, as the first nodes of what was scored last.
    """

    def __init__(
        self, engine: ExactEngine, *, extra_nodes: int, origin: Origin, opener: Opener | None = None
    ) -> None:
        """Wrap an exact engine; those that are opened beside it need not be exact."""
        super().__init__(engine, extra_nodes=extra_nodes, origin=origin, opener=opener)
        self._exact = engine

    def confirming(self, verifier: Verifier) -> Verifier:
        """Return a verifier that asks ``verifier``, and confirms the paths of trees."""
        return ExactVerifier(verifier, self)

    def stands(self, rows: Rows, draft: Draft, paths: list[list[int]]) -> bool:
        """Tell whether every row's path is what follows the root, in nodes and in slots."""
        slots = slots_of(rows, draft)
        return all(
            path == list(range(1, len(path) + 1))
            and taken[: len(path) + 1] == list(range(length - 1, length + len(path)))
            for path, taken, length in zip(paths, slots, rows.lengths, strict=True)
        )

    def rescore(self, rows: Rows, draft: Draft, paths: list[list[int]]) -> tuple[Draft, Scores]:
        """Score the paths as chains, through all layers, in the slots where they will stay."""
        guesses = [
            [tokens[node] for node in path]
            for tokens, path in zip(draft.token_lists, paths, strict=True)
        ]
        chains = Draft.chains(rows.roots, guesses)
        scores = self._score(rows, chains)
        self._wait(rows, chains)
        return chains, scores

    def _open(self, rows: Rows) -> None:
        self._exact.expect([len(row.tokens) + row.budget for row in rows.active])
        super()._open(rows)

    def _settle(self, sources: list[list[int]], starts: list[int]) -> None:
        """Leave everything where it is: what the verifier confirmed stands in place."""

    def _logits_behind(self, paths: list[list[int]]) -> Tensor | None:
        return super()._logits_behind([list(range(1, len(path) + 1)) for path in paths])


class ExactVerifier(Verifier):
    """Let another verifier walk the draft, then confirm what it accepted on chain rows.

    A verifier that promises tokens is asked again, with the chain's logits, and the answer is at
    most as deep; one that draws random numbers for its acceptance is asked once.
    """

    def __init__(self, verifier: Verifier, target: ExactTarget) -> None:
        """Wrap ``verifier``; ``target`` scores paths again."""
        self._verifier, self._target = verifier, target
        self.guarantee = verifier.guarantee  # type: ignore[misc]
        self.needs_q = verifier.needs_q  # type: ignore[misc]

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


def target_on(
    engine: Engine, *, extra_nodes: int = 0, origin: Origin, opener: Opener | None = None
) -> Target:
    """Return a target on ``engine``, an exact one for an exact engine."""
    if isinstance(engine, ExactEngine):
        return ExactTarget(engine, extra_nodes=extra_nodes, origin=origin, opener=opener)
    return Target(engine, extra_nodes=extra_nodes, origin=origin, opener=opener)

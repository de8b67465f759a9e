"""Exact mode, above the engine: what a tree committed must be what a chain would have committed."""

from __future__ import annotations

from torch import Tensor

from specframe._engine.engine import Engine, Opener
from specframe._engine.model_origin import Origin
from specframe._exact.exact_engine import ExactEngine
from specframe._round.draft import Draft
from specframe._round.rows import Rows
from specframe._round.scores import Scores
from specframe._target.slots import slots_of
from specframe._target.target import Target


class ExactTarget(Target):
    """A target whose commits hold what a chain would have: paths of trees are scored again.

    A path outside the slots right after its root has its keys in other slots than plain decoding,
    and sums over keys depend on their order. To be used with an ExactVerifier: what it confirms is
    always in place, as the first nodes of what was scored last.
    """

    def __init__(
        self, engine: ExactEngine, *, extra_nodes: int, origin: Origin, opener: Opener | None = None
    ) -> None:
        """Wrap an exact engine; engines opened to draft with need not be exact."""
        super().__init__(engine, extra_nodes=extra_nodes, origin=origin, opener=opener)
        self._exact = engine

    def accept_ahead(self, *, capturable: bool) -> None:
        """Wait for the scores before any verifier: what it accepts is confirmed on the host."""

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
        """Leave everything where it is: what the verifier confirmed is in place."""

    def _logits_after(self, paths: list[list[int]]) -> Tensor | None:
        return super()._logits_after([list(range(1, len(path) + 1)) for path in paths])


def target_on(
    engine: Engine, *, extra_nodes: int = 0, origin: Origin, opener: Opener | None = None
) -> Target:
    """Return a target on ``engine``, an exact one for an exact engine."""
    if isinstance(engine, ExactEngine):
        return ExactTarget(engine, extra_nodes=extra_nodes, origin=origin, opener=opener)
    return Target(engine, extra_nodes=extra_nodes, origin=origin, opener=opener)

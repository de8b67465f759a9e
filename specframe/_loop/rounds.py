"""The algorithm."""

from __future__ import annotations

from collections.abc import Iterator

from specframe._contracts.drafter import Drafter
from specframe._contracts.stop_policy import StopPolicy
from specframe._contracts.verifier import Verifier
from specframe._loop.leaving import leave
from specframe._round.round import Round
from specframe._round.rows import Rows
from specframe._sampling.sampler import Sampler
from specframe._target.target import Target


def rounds(  # noqa: PLR0913, PLR0917 (the loop)
    target: Target,
    drafter: Drafter,
    verifier: Verifier,
    stop: StopPolicy,
    sampler: Sampler,
    rows: Rows,
) -> Iterator[Round]:
    """Yield one round after another until every row is finished; the prefill comes first.

    Raises PluginError for a part that breaks its contract, NumericsError for logits that are not
    finite, MemoryShortageError where the cache does not fit; what a part raises itself passes.
    """
    captured = target.prefill(rows, sampler, drafter.needs)
    drafter.start(target, rows, captured)
    stop.start(rows)
    yield Round.prefill(rows, captured, target.clock)
    while leave(rows, target, drafter, stop, sampler):
        draft = drafter.propose(rows, stop, sampler)
        scores = target.score(rows, draft)
        verdict = verifier.verify(rows, draft, scores, sampler)
        commit = target.commit(rows, draft, verdict)
        drafter.update(rows, draft, scores, commit)
        round = Round.of(rows, draft, commit, target.clock)
        stop.observe(rows, round)
        yield round

"""The probabilities of a round's tokens: p, the target's, and q, the drafter's.

They are measured during a decode if asked for, and decide nothing. Both are what tokens are chosen
by: after penalties, processors, temperature and filters; at temperature 0 the model's own.

p and q are measured between verdict and commit, the only moment at which the logits are there and
the prefixes are still true, by a verifier that wraps the one in force; the loop knows nothing of
it. Only a verifier that needs q makes drafters hand it over, so a sampler notes what they choose
from. Paths of tokens name the places, because pruning renumbers nodes. The clock skips what this
takes: ``cost-aware`` would otherwise draft to please the trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor

from specframe._contracts.drafter import Drafter
from specframe._contracts.stop_policy import StopPolicy
from specframe._contracts.verifier import Verifier
from specframe._loop.rounds import rounds
from specframe._round.clock import Clock
from specframe._round.draft import Draft
from specframe._round.round import Probs, Round
from specframe._round.rows import Rows
from specframe._round.scores import Scores
from specframe._round.verdict import Verdict
from specframe._sampling.sampler import ROOTS, Paths, Sampler
from specframe._sampling.warping import Sampling
from specframe._target.target import Target


def measured_rounds(  # noqa: PLR0913, PLR0917 (the loop's own arguments)
    target: Target,
    drafter: Drafter,
    verifier: Verifier,
    stop: StopPolicy,
    sampler: Sampler,
    rows: Rows,
) -> Iterator[Round]:
    """Run the loop and give each round its probabilities; the tokens are those of the loop.

    The time of measuring is booked on no part of a round.
    """
    measuring = MeasuringSampler(sampler.sampling, target.clock, wants_q=sampler.wants_q)
    watched = MeasuringVerifier(verifier, measuring)
    for round in rounds(target, drafter, watched, stop, measuring, rows):
        yield attrs.evolve(round, probs=measuring.probs)


@attrs.frozen(eq=False)
class Seen:
    """Hold a drafter's logits at nodes of its tree, before it chose their children."""

    tree: Paths
    nodes: Sequence[Sequence[int]]
    logits: Float[Tensor, "batch node vocab"]


class MeasuringSampler(Sampler):
    """Choose as any sampler does, and note the logits; owns the probabilities of the last round."""

    probs: Probs

    def __init__(self, sampling: Sampling, clock: Clock, *, wants_q: bool) -> None:
        """Sample as ``sampling`` says; ``clock`` is the decode's, and leaves measuring out."""
        super().__init__(sampling, wants_q=wants_q)
        self._clock = clock
        self._seen: tuple[Seen, ...] = ()

    def first(self, rows: Rows, logits: Float[Tensor, "batch vocab"]) -> Int[Tensor, " batch"]:
        """Choose the token after each row's prompt and measure its p."""
        tokens = super().first(rows, logits)
        self._clock.lap("prefill")
        warped = self._warped(rows, ROOTS, [[0]] * len(rows), logits[:, None])[:, 0]
        chances = warped.softmax(dim=-1).gather(1, tokens[:, None])
        self.probs = Probs([[]] * len(rows), [[]] * len(rows), chances[:, 0].tolist())
        self._clock.skip()
        return tokens

    def draft(
        self, rows: Rows, tree: Paths, node: int, logits: Float[Tensor, "batch vocab"]
    ) -> tuple[Int[Tensor, " batch"], Float[Tensor, "batch vocab"] | None]:
        """Choose each row's guess, noting what it is chosen from."""
        self._seen += (Seen(tree, [[node]] * len(rows), logits[:, None]),)
        return super().draft(rows, tree, node, logits)

    def ranked(
        self,
        rows: Rows,
        tree: Paths,
        nodes: Sequence[Sequence[int]],
        logits: Float[Tensor, "batch node vocab"],
    ) -> Float[Tensor, "batch node vocab"]:
        """Return what children are ranked by, noting the logits."""
        self._seen += (Seen(tree, nodes, logits),)
        return super().ranked(rows, tree, nodes, logits)

    def measure(self, rows: Rows, draft: Draft, scores: Scores, verdict: Verdict) -> None:
        """Measure a verdict before it is committed; forget what the drafter saw."""
        wait(draft, verdict, self._clock)
        p = self.warped(rows, draft, scores).softmax(dim=-1)
        ends = [path[-1] if path else 0 for path in verdict.path_lists]
        self.probs = Probs(
            [_after_parents(p[place], draft, place) for place in range(len(rows))],
            self._drafters_own(rows, draft),
            [
                float(p[place, end, token])
                for place, (end, token) in enumerate(zip(ends, verdict.next_tokens, strict=True))
            ],
        )
        self._seen = ()
        self._clock.skip()

    def _drafters_own(self, rows: Rows, draft: Draft) -> list[list[float | None]]:
        """Return q of each drafted token: the one that was handed over, else the one noted."""
        noted = self._noted(rows)
        found: list[list[float | None]] = []
        for place, (tokens, parents) in enumerate(
            zip(draft.token_lists, draft.parent_lists, strict=True)
        ):
            qs = []
            for token, parent in list(zip(tokens, parents, strict=True))[1:]:
                q = draft.q(place, parent)
                if q is None:
                    q = noted.get((place, tuple(draft.path_tokens(place, parent))))
                qs.append(None if q is None else float(q[token]))
            found.append(qs)
        return found

    def _noted(self, rows: Rows) -> dict[tuple[int, tuple[int, ...]], Tensor]:
        """Return the drafter's distribution after each path that it looked at.

        Node ids are the tree's own, and pruning renumbers them: a path means the same to both.
        """
        found: dict[tuple[int, tuple[int, ...]], Tensor] = {}
        for seen in self._seen:
            q = self._warped(rows, seen.tree, seen.nodes, seen.logits).softmax(dim=-1)
            for place, nodes in enumerate(seen.nodes):
                for at, node in enumerate(nodes):
                    # A row that was left out has no path there: the root's was noted before.
                    path = tuple(seen.tree.path_tokens(place, node))
                    found.setdefault((place, path), q[place, at])
        return found


class MeasuringVerifier(Verifier):
    """Let another verifier decide, then measure what it decided by."""

    def __init__(self, verifier: Verifier, sampler: MeasuringSampler) -> None:
        """Wrap ``verifier``; ``sampler`` is the decode's own."""
        self._verifier, self._sampler = verifier, sampler
        self.guarantee = verifier.guarantee
        self.needs_q = verifier.needs_q

    def verify(self, rows: Rows, draft: Draft, scores: Scores, sampler: Sampler) -> Verdict:
        """Return the other verifier's verdict."""
        verdict = self._verifier.verify(rows, draft, scores, sampler)
        self._sampler.measure(rows, draft, scores, verdict)
        return verdict


def _after_parents(p: Float[Tensor, "node vocab"], draft: Draft, place: int) -> list[float]:
    """Return p of each drafted token of a row: what the target gave it after its parent."""
    above = torch.tensor(draft.parent_lists[place][1:], dtype=torch.long, device=p.device)
    tokens = torch.tensor(draft.token_lists[place][1:], dtype=torch.long, device=p.device)
    chances: list[float] = p[above, tokens].tolist()
    return chances


def wait(draft: Draft, verdict: Verdict, clock: Clock) -> None:
    """Wait for what a device still works on, and book it where it belongs."""
    if verdict.is_awaited and not draft.is_told:
        _ = draft.token_lists
        clock.lap("draft")
    _ = verdict.path_lists
    clock.lap("verify")

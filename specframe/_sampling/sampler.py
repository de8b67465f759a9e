"""How tokens are chosen from logits, by the target and by drafters alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from specframe._engine.transfer import to_device
from specframe._sampling.noise import Key, Purpose, gumbels, uniforms
from specframe._sampling.warping import Sampling, widened

if TYPE_CHECKING:
    from specframe._round.draft import Draft
    from specframe._round.rows import Row, Rows
    from specframe._round.scores import Scores


class Paths(Protocol):
    """Tell where the nodes of a tree are: a Draft, or a TreeBuilder that still grows."""

    def depth(self, row: int, node: int) -> int:
        """Return a node's level; the root's is 0."""

    def path_tokens(self, row: int, node: int) -> list[int]:
        """Return the tokens below the root that lead to a node, its own last."""


class Sampler:
    """Choose tokens; one for each decode.

    Noise is keyed by the row's own seed and by its purpose (see ``Purpose``), never by the place in
    the batch, so that a row's text does not depend on its neighbours. ``wants_q``: the verifier
    needs the distributions that drafted tokens were drawn from, and drafters draw from them with
    noise of their own; otherwise drafters share the target's noise and guess better. Raises no
    error of specframe's; what a processor raises passes.
    """

    def __init__(self, sampling: Sampling | None = None, *, wants_q: bool = False) -> None:
        """Sample as ``sampling`` says (None: greedily)."""
        self.sampling = sampling or Sampling()
        self._is_greedy, self._reads_text = self.sampling.is_greedy, self.sampling.reads_prefix
        self.wants_q = wants_q and not self.is_greedy
        self._shared: dict[tuple[int, int], Tensor] = {}

    @property
    def is_greedy(self) -> bool:
        """Tell whether the most likely token is chosen, the lowest id where several tie."""
        return self._is_greedy

    def first(self, rows: Rows, logits: Float[Tensor, "batch vocab"]) -> Int[Tensor, " batch"]:
        """Choose the first token after each row's prompt."""
        return self._chosen(self._perturbed(rows, ROOTS, [[0]] * len(rows), logits[:, None]))[:, 0]

    def choose(self, rows: Rows, draft: Draft, scores: Scores) -> Int[Tensor, "batch node"]:
        """Choose what the target says at each node, with the noise of the node's position."""
        if self.is_greedy and not self._reads_prefix(rows):
            return scores.top[1]
        nodes = [list(range(size)) for size in draft.size_list]
        chosen = self._chosen(self._perturbed(rows, draft, nodes, scores.logits))
        self._shared.clear()
        return chosen

    def draft(
        self, rows: Rows, tree: Paths, node: int, logits: Float[Tensor, "batch vocab"]
    ) -> tuple[Int[Tensor, " batch"], Float[Tensor, "batch vocab"] | None]:
        """Choose each row's guess after ``node``, and return q where the verifier wants it.

        ``logits`` are the drafter's own, un-tempered. With q the guess is a draw from it (law IID),
        else the likeliest under the target's noise (law DETERMINISTIC).
        """
        if self.is_greedy and not self._reads_prefix(rows):
            return self._chosen(logits), None
        nodes = [[node]] * len(rows)
        if not self.wants_q:
            return self._chosen(self._perturbed(rows, tree, nodes, logits[:, None]))[:, 0], None
        warped = self._warped(rows, tree, nodes, logits[:, None])[:, 0].double()
        noise = [
            gumbels(Key(row.seed, Purpose.DRAFT, row.count, node), logits.shape[-1])
            for row in rows.active
        ]
        tokens = (warped + to_device(torch.stack(noise), logits.device)).argmax(dim=-1)
        return tokens, warped.softmax(dim=-1)

    def ranked(
        self,
        rows: Rows,
        tree: Paths,
        nodes: Sequence[Sequence[int]],
        logits: Float[Tensor, "batch node vocab"],
    ) -> Float[Tensor, "batch node vocab"]:
        """Return logits by which the children of ``nodes`` are best ranked, for a tree.

        These are the warped logits, with the target's noise added where it will choose with it: the
        target then chooses their top if it agrees with the drafter. ``nodes`` lists the ids of each
        row, padded in ``logits`` alone.
        """
        if self.wants_q:
            return self._warped(rows, tree, nodes, logits)
        return self._perturbed(rows, tree, nodes, logits)

    def warped(self, rows: Rows, draft: Draft, scores: Scores) -> Float[Tensor, "batch node vocab"]:
        """Return the target's logits after penalties, processors, temperature and filters."""
        nodes = [list(range(size)) for size in draft.size_list]
        return self._warped(rows, draft, nodes, scores.logits)

    def accepts(self, row: Row, node: int, draw: int, chance: float) -> bool:
        """Flip the coin for the child that is the ``draw``-th below ``node`` (from 0)."""
        coin = uniforms(Key(row.seed, Purpose.ACCEPT, row.count, node, draw))
        return float(coin) < chance

    def sample(self, row: Row, node: int, probs: Float[Tensor, " vocab"]) -> int:
        """Draw the token after ``node`` from ``probs``, what is left of the target's p there."""
        noise = gumbels(Key(row.seed, Purpose.RESIDUAL, row.count, node), probs.shape[-1])
        return int((probs.log() + to_device(noise, probs.device)).argmax())

    def keep(self, kept: list[int]) -> None:
        """Keep only the rows ``kept``: nothing to do, as no state belongs to a row."""

    def _chosen(self, logits: Tensor) -> Tensor:
        return logits.argmax(dim=-1)

    def _perturbed(
        self, rows: Rows, paths: Paths, nodes: Sequence[Sequence[int]], logits: Tensor
    ) -> Tensor:
        warped = self._warped(rows, paths, nodes, logits)
        if self.is_greedy:
            return warped
        moved = warped.double()
        for place, (row, ids) in enumerate(zip(rows.active, nodes, strict=True)):
            for at, node in enumerate(ids):
                index = row.count + paths.depth(place, node)
                noise = self._coupled(row.seed, index, warped.shape[-1])
                moved[place, at] += to_device(noise, moved.device)
        return moved

    def _warped(
        self, rows: Rows, paths: Paths, nodes: Sequence[Sequence[int]], logits: Tensor
    ) -> Tensor:
        wide = widened(logits)
        if not self._reads_prefix(rows):
            return self.sampling.warp(wide)
        processed = wide.clone()
        for place, (row, ids) in enumerate(zip(rows.active, nodes, strict=True)):
            for at, node in enumerate(ids):
                prefix = [*row.tokens, *paths.path_tokens(place, node)]
                processed[place, at] = self.sampling.process(
                    prefix, wide[place, at], row.processors
                )
        return self.sampling.warp(processed)

    def _reads_prefix(self, rows: Rows) -> bool:
        return self._reads_text or any(row.processors for row in rows.active)

    def _coupled(self, seed: int, index: int, count: int) -> Tensor:
        if (seed, index) not in self._shared:
            self._shared[seed, index] = gumbels(Key(seed, Purpose.COUPLE, index), count)
        return self._shared[seed, index]


class _Roots:
    """The roots alone, for the token after a prompt."""

    def depth(self, row: int, node: int) -> int:
        return 0

    def path_tokens(self, row: int, node: int) -> list[int]:
        return []


ROOTS = _Roots()

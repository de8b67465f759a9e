"""Exact mode: every pass has one shape, so that equal tokens give equal bits.

Floating point sums depend on the shape of the call that makes them, not on who asks. Plain decoding
runs one token at a time, verification several, so their logits differ in the last bits. Here both
run the same calls: ``BLOCK`` rows of a single sequence, and a number of cache slots that follows
from prompt and max_new_tokens alone. A strategy still decides which rows share a block with a token
and what masked slots hold; ``exact_probe`` shows that neither matters.

Exact mode adds three objects and no branch to the loop. ``ExactEngine`` takes each row of a batch
by itself (a twin of the engine per row, with its own cache, so with recordings of its own where
passes are recorded; a row's engine outlives the row). ``ExactTarget`` tells it the number of slots,
and scores the path of a tree again, as a chain in the slots where it will stay. ``ExactVerifier``
wraps the verifier and lets it confirm the path on those rows. Nothing is rounded to static shapes
(``Shape.as_given``): a reach rounded there would be bounded by the buffers, and those depend on the
strategy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor

from specframe._engine.engine import Engine, Filled
from specframe._engine.placement import Placement
from specframe._engine.transfer import to_device

BLOCK = 16  # tokens of every pass, padding included
SLOTS = 64  # cache lengths are multiples of this, so that all buffers are aligned alike

Answer = tuple[Tensor, dict[int, Tensor]]


class ExactEngine(Engine):
    """Run another engine's layers in blocks of ``BLOCK`` tokens, one sequence at a time.

    Each row of a batch has an engine, and so a cache, of its own. Prompts are filled as the inner
    engine does it: their shapes depend on nothing but the prompt.
    """

    exact = True

    def __init__(self, engine: Engine) -> None:
        """Wrap ``engine``; its weights are shared, its cache is not used."""
        self._inner = engine
        self.num_layers = engine.num_layers
        self.vocab_size, self.hidden_size = engine.vocab_size, engine.hidden_size
        self.context = engine.context
        self.device, self.dtype = engine.device, engine.dtype
        self._rows: list[RowEngine] = []
        self._engines: list[Engine] = []
        self._most: list[int] | None = None

    def expect(self, most: list[int]) -> None:
        """Say how many tokens each row may come to hold; the next ``open`` goes by it."""
        self._most = most

    def open(self, batch: int, slots: int) -> None:
        """Give each row its cache, and the length that all of its passes read.

        Row b has the engine that row b of the batch before had: what that recorded serves again.
        """
        most, self._most = self._most or [slots] * batch, None
        del self._engines[batch:]
        self._engines += [self._inner.twin() for _ in range(batch - len(self._engines))]
        self._rows = [
            RowEngine.open(engine, rounded(count), slots)
            for engine, count in zip(self._engines, most, strict=True)
        ]

    def fill(self, row: int, tokens: list[int], taps: Collection[int] = ()) -> Filled:
        """Run a prompt through the row's own engine."""
        return self._rows[row].engine.fill(0, tokens, taps)

    def run(  # noqa: PLR0913 (two options that most callers leave out)
        self,
        hidden: Float[Tensor, "batch token hidden"],
        placement: Placement,
        lo: int,
        hi: int,
        *,
        skip: Collection[int] = (),
        taps: Collection[int] = (),
    ) -> tuple[Float[Tensor, "batch token hidden"], dict[int, Tensor]]:
        """Run the layers row by row, block by block."""
        answers = []
        for place, row in enumerate(self._rows):
            layers = partial(row.engine.run, lo=lo, hi=hi, skip=skip, taps=taps)
            answers.append(row.run(hidden[place : place + 1], row_of(placement, place), layers))
        return _joined(answers, dim=0)

    def embed(self, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token hidden"]:
        """Return what the first layer reads."""
        return by_block(self._inner.embed, tokens)

    def norm(
        self, hidden: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token hidden"]:
        """Apply the final norm."""
        return by_block(self._inner.norm, hidden)

    def logits(
        self, normed: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token vocab"]:
        """Apply the head."""
        return by_block(self._inner.logits, normed)

    def gather(self, sources: list[list[int]], starts: list[int]) -> None:
        """Move slots within each row's cache."""
        for row, source, start in zip(self._rows, sources, starts, strict=True):
            row.engine.gather([source], [start])

    def keep(self, kept: list[int]) -> None:
        """Keep only the rows ``kept``; the others' caches wait for the next ``open``."""
        self._rows = [self._rows[place] for place in kept]

    def row(self, place: int) -> Engine:
        """Return the engine of one row of the batch, which has the row's cache."""
        return self._rows[place].engine

    def twin(self) -> ExactEngine:
        """Return an exact engine on the same weights."""
        return ExactEngine(self._inner.twin())


@attrs.frozen(eq=False)
class RowEngine:
    """Hold the engine of one sequence and cut its passes into blocks.

    ``length`` is how many slots every block reads. The ``slots`` of the cache may be more: nodes of
    a wide tree can lie beyond ``length``. What sees such a slot runs in blocks of its own, which
    read all slots, so that no other token's shape depends on it. Padding tokens are written to the
    last slot and see slot 0 alone.
    """

    engine: Engine
    length: int
    slots: int

    @classmethod
    def open(cls, engine: Engine, length: int, slots: int) -> RowEngine:
        """Have a cache of ``slots`` slots and one for padding, at least ``length`` of them."""
        slots = engine.rounded(rounded(max(slots, length) + 1))
        engine.open(1, slots)
        return cls(engine, length, slots)

    def run(
        self,
        hidden: Float[Tensor, "one token hidden"],
        placement: Placement,
        layers: Callable[[Tensor, Placement], Answer],
    ) -> Answer:
        """Return what ``layers`` makes of every token, and the taps."""
        far = self._sees_far(placement)
        order = sorted(range(len(far)), key=far.__getitem__)  # ancestors stay before descendants
        answers = []
        for tokens, reach in self._blocks(order, sum(far)):
            index = to_device(tokens, hidden.device)
            answer = layers(padded(hidden[:, index]), self._placed(placement, index, reach))
            answers.append(_picked(answer, slice(len(tokens))))
        answer = _joined(answers, dim=1)
        if order == sorted(order):
            return answer
        return _picked(answer, torch.tensor(order, device=hidden.device).argsort())

    def _sees_far(self, placement: Placement) -> list[bool]:
        count = placement.positions.shape[1]
        if placement.reach <= self.length or placement.visible is None:
            return [placement.reach > self.length] * count
        told: list[bool] = placement.visible[0, :, self.length :].any(dim=-1).tolist()
        return told

    def _blocks(self, order: list[int], far: int) -> list[tuple[list[int], int]]:
        split = len(order) - far
        groups = ((order[:split], self.length), (order[split:], self.slots))
        return [
            (group[start : start + BLOCK], reach)
            for group, reach in groups
            for start in range(0, len(group), BLOCK)
        ]

    def _placed(self, placement: Placement, index: Tensor, reach: int) -> Placement:
        positions, known = placement.positions[:, index], min(reach, placement.reach)
        visible = torch.zeros(1, BLOCK, reach, dtype=torch.bool, device=index.device)
        visible[:, :, 0] = True
        visible[:, : len(index), :known] = _sight(placement, index)[..., :known]
        keys = placement.key_positions
        if keys is not None:
            rest = torch.arange(known, reach, device=index.device)[None]
            keys = torch.cat([keys[:, :known], rest], dim=1)
        return Placement(
            padded(positions),
            padded(placement.slots[:, index], self.slots - 1),
            reach,
            visible=visible,
            key_positions=keys,
        )


def _sight(placement: Placement, index: Tensor) -> Tensor:
    """Return which slots within the placement's reach the tokens ``index`` see."""
    if placement.visible is not None:
        return placement.visible[:, index]
    line = torch.arange(placement.reach, device=index.device)
    if placement.causal:
        return line <= placement.slots[:, index, None]
    return torch.ones_like(line, dtype=torch.bool)[None, None].expand(1, len(index), -1)


def row_of(placement: Placement, place: int) -> Placement:
    """Return the placement of one row of a batch."""
    only = slice(place, place + 1)
    visible, keys = placement.visible, placement.key_positions
    return attrs.evolve(
        placement,
        positions=placement.positions[only],
        slots=placement.slots[only],
        visible=None if visible is None else visible[only],
        key_positions=None if keys is None else keys[only],
    )


def by_block(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """Apply ``function`` to ``[batch, token, ...]`` in blocks; rows of a batch may share one."""
    flat = values.flatten(0, 1)[None]
    blocks = [flat[:, start : start + BLOCK] for start in range(0, flat.shape[1], BLOCK)]
    parts = [function(padded(block))[:, : block.shape[1]] for block in blocks]
    return torch.cat(parts, dim=1).view(*values.shape[:2], -1)


def padded(values: Tensor, fill: int = 0) -> Tensor:
    """Return a new tensor of ``BLOCK`` tokens: those given, then ``fill``."""
    block = values.new_full((1, BLOCK, *values.shape[2:]), fill)
    block[:, : values.shape[1]] = values
    return block


def rounded(slots: int) -> int:
    """Return the least multiple of ``SLOTS`` that is not below ``slots``."""
    return -(-slots // SLOTS) * SLOTS


def _joined(answers: list[Answer], dim: int) -> Answer:
    taps = {
        layer: torch.cat([tapped[layer] for _, tapped in answers], dim) for layer in answers[0][1]
    }
    return torch.cat([answer for answer, _ in answers], dim), taps


def _picked(answer: Answer, tokens: slice | Tensor) -> Answer:
    hidden, taps = answer
    return hidden[:, tokens], {layer: tap[:, tokens] for layer, tap in taps.items()}

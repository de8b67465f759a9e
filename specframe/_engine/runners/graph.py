"""The engine of the graph runner: passes of few static shapes, recorded once and replayed.

``GraphEngine`` is ``LayerEngine`` with ``run``, ``norm`` and ``logits`` replayed. The eager code
itself is recorded, on a placement whose tensors keep their addresses, so target, drafters and
verifiers do not know which runner they are on. A drafter's own compute joins through
``target.capture(step)``. Prompts are not recorded, since no two have one shape.

The host waits once a round, and once for each drafted level where the stop policy answers. Its
``Reading`` is begun before the shallow layers run on the level and polled after them, so the device
works meanwhile. Acceptance is the device's too (``_round/acceptance.py``): an accepted path that is
not in place is brought there (``SlotCache.move``) before the host knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import attrs
from jaxtyping import Float, Int
from torch import Tensor

from specframe._engine.engine import Decide, Filled, LayerEngine, Step
from specframe._engine.family import Split
from specframe._engine.placement import Placement
from specframe._engine.runners.fusion import Fusion
from specframe._engine.runners.recording import Outputs, Recorder
from specframe._engine.runners.static import SLOTS, Replays, Shape, ShapeOf, StaticStep


@attrs.frozen
class Stretch:
    """Name the layers that a pass runs and the states that it keeps."""

    lo: int
    hi: int
    skip: frozenset[int]
    taps: tuple[int, ...]

    @property
    def kept(self) -> list[int]:
        """Return for which of ``taps`` these layers have an answer, in order."""
        layers = [layer for layer in range(self.lo, self.hi) if layer not in self.skip]
        passed = {*layers, layers[-1] + 1} if layers else set()
        return sorted(passed.intersection(self.taps))


class GraphEngine(LayerEngine):
    """Run a split model's layers, norm and head as recordings; prompts run unrecorded.

    A recording reads and writes the cache in place, so all are dropped when a new cache is
    allocated. The board's last slot takes the padding, as in any engine.
    """

    def __init__(
        self,
        split: Split,
        recorder: Recorder,
        fusion: Fusion | None = None,
        shape_of: ShapeOf = Shape.of,
    ) -> None:
        """Take the model apart; nothing is recorded before the first pass of a shape.

        ``fusion`` compiles the layers for their recordings; prompts are filled without it.
        ``shape_of`` gives passes their static shapes.
        """
        super().__init__(split)
        self._recorder, self._fusion, self._shape_of = recorder, fusion, shape_of
        self._plain = split
        self._fused = split if fusion is None else _fused(split, fusion)
        self._opened = 0
        self._stretches: dict[Stretch, Replays] = {}
        self._norm = self._by_token(split.norm)
        self._head = self._by_token(split.head)

    def rounded(self, slots: int) -> int:
        """Return a multiple of ``SLOTS``."""
        return -(-slots // SLOTS) * SLOTS

    def open(self, batch: int, slots: int) -> None:
        """Allocate a cache, or reuse the present one and what was recorded on it."""
        before = self._cache
        super().open(batch, slots)
        if self._cache is not before or slots != self._opened:
            self._stretches = {}
        self._opened = slots

    def fill(self, row: int, tokens: list[int], taps: Collection[int] = ()) -> Filled:
        """Run a prompt in chunks; no two prompts have one shape, so none is recorded."""
        with self._recorder.device.kernels():
            return super().fill(row, tokens, taps)

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
        """Replay layers ``lo`` to ``hi`` - 1."""
        stretch = Stretch(lo, hi, frozenset(skip), tuple(sorted(taps)))
        replays = self._stretches.get(stretch)
        if replays is None:
            replays = self._stretches[stretch] = self._replays_of(stretch)
        hidden, *tapped = replays(hidden, placement)
        return hidden, dict(zip(stretch.kept, tapped, strict=True))

    def _replays_of(self, stretch: Stretch) -> Replays:
        def layers(hidden: Tensor, placement: Placement | None) -> Outputs:
            assert placement is not None
            run = super(GraphEngine, self).run
            skip, taps = stretch.skip, stretch.taps
            self._split = self._plain if self._recorder.has_failed else self._fused
            try:
                hidden, tapped = run(
                    hidden, placement, stretch.lo, stretch.hi, skip=skip, taps=taps
                )
            finally:
                self._split = self._plain
            return hidden, *(tapped[layer] for layer in stretch.kept)

        return self._replayed(layers)

    def _by_token(self, part: Callable[[Tensor], Tensor]) -> Replays:
        return self._replayed(lambda states, _: (part(states),))

    def _replayed(self, step: StaticStep) -> Replays:
        return Replays(step, self._recorder, lambda: self._opened, self._shape_of)

    def norm(
        self, hidden: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token hidden"]:
        """Replay the final norm."""
        return self._norm(hidden)[0]

    def logits(
        self, normed: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token vocab"]:
        """Replay the head."""
        return self._head(normed)[0]

    def capture(self, step: Step) -> Step:
        """Return the step, recorded like a pass."""

        def outputs(states: Tensor, placement: Placement | None) -> Outputs:
            assert placement is not None
            return (step(states, placement),)

        replays = self._replayed(outputs)
        return lambda states, placement: replays(states, placement)[0]

    def recorded(self, step: Decide) -> Decide | None:
        """Return the step, recorded; compiling it would take seconds for each width."""
        replays = self._by_token(step)
        return lambda numbers: replays(numbers)[0]

    def move(
        self,
        sources: Int[Tensor, "batch depth"],
        starts: Int[Tensor, " batch"],
        counts: Int[Tensor, " batch"],
    ) -> None:
        """Commit accepted paths in the cache; nobody waits for the numbers."""
        assert self._cache is not None
        self._cache.move(sources, starts, counts)

    def twin(self) -> GraphEngine:
        """Return an engine on the same split."""
        return GraphEngine(self._plain, self._recorder, self._fusion, self._shape_of)


def _fused(split: Split, fusion: Fusion) -> Split:
    return attrs.evolve(split, layers=[fusion.of(layer) for layer in split.layers])

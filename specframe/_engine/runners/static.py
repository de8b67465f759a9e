"""Static shapes: passes are rounded up to few of them, in buffers that stay where they are.

Widths are powers of two; the number of slots that are read (the reach) is rounded to a quarter of a
power of two, at least to 128. A recording belongs to (layers from, to, skipped, tapped; batch,
width, reach, with a mask or without). For chains the mask is made on the device from positions;
trees bring theirs. Padding tokens are zeros: they go to the cache's last slot and see slot 0, so no
row attends to nothing, and no row sees them. Caches are rounded up to a multiple of 128 slots, so a
draft wider than its drafter declared is refused later than on the eager runner.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import attrs
import torch
from jaxtyping import Num
from torch import Tensor

from specframe._engine.placement import Placement
from specframe._engine.runners.recording import Body, Outputs, Recorder

SLOTS = 128  # caches and reaches are multiples of this: kernels want masks that are aligned
StaticStep = Callable[[Tensor, Placement | None], Outputs]


def rounded_width(tokens: int) -> int:
    """Return the least power of two that is not below ``tokens``."""
    return 1 << (tokens - 1).bit_length()


def rounded_reach(slots: int) -> int:
    """Return ``slots`` rounded up by at most a quarter, or to ``SLOTS``.

    Four lengths between one power of two and the next: reading the rest of the cache costs little,
    recording a graph costs a lot.
    """
    step = max(SLOTS, (1 << (slots.bit_length() - 1)) // 4)
    return -(-slots // step) * step


@attrs.frozen
class Shape:
    """Name a shape of passes.

    ``reach`` is 0 where nothing is placed; ``masked`` says that a mask is handed over: otherwise
    tokens see the slots up to their own position.
    """

    batch: int
    width: int
    reach: int = 0
    masked: bool = False

    @classmethod
    def of(cls, states: Tensor, placement: Placement | None, slots: int) -> Shape:
        """Return the shape for a pass on a cache of ``slots`` slots."""
        batch, count = states.shape[:2]
        if placement is None:
            return cls(batch, rounded_width(count))
        reach = min(rounded_reach(placement.reach), slots)
        return cls(batch, rounded_width(count), reach, placement.start is None)

    @classmethod
    def as_given(cls, states: Tensor, placement: Placement | None, _slots: int) -> Shape:
        """Return the shape that a pass has, for passes that come in few shapes already."""
        batch, count = states.shape[:2]
        if placement is None:
            return cls(batch, count)
        return cls(batch, count, placement.reach, placement.start is None)


ShapeOf = Callable[[Tensor, Placement | None, int], Shape]


class StaticInputs:
    """Own the tensors that one recording reads.

    Tokens that pad a pass are zeros in the cache's last slot at position 0, and see slot 0 alone.
    """

    def __init__(self, shape: Shape, like: Num[Tensor, "batch token width"], slots: int) -> None:
        """Allocate for states such as ``like``, on a cache of ``slots`` slots."""
        device, tokens = like.device, (shape.batch, shape.width)
        self._shape, self._trash = shape, slots - 1
        self._count = -1
        self.states = like.new_zeros(*tokens, like.shape[2])
        self._positions = torch.zeros(tokens, dtype=torch.long, device=device)
        self._slots = torch.zeros(tokens, dtype=torch.long, device=device)
        self._line = torch.arange(shape.reach, device=device)
        self._visible = self._keys = None
        if shape.masked:
            self._visible = torch.zeros(*tokens, shape.reach, dtype=torch.bool, device=device)
            self._keys = self._line.repeat(shape.batch, 1)

    def put(self, states: Tensor, placement: Placement | None) -> None:
        """Write a pass into the buffers."""
        count = states.shape[1]
        if count != self._count:
            self._pad(count)
        self.states[:, :count].copy_(states)
        if placement is None:
            return
        self._positions[:, :count].copy_(placement.positions)
        self._slots[:, :count].copy_(placement.slots)
        if self._visible is not None:
            assert placement.visible is not None
            self._visible[:, :count, : placement.reach].copy_(placement.visible)
            self._visible[:, :count, placement.reach :].fill_(value=False)
            self._put_keys(placement)

    def _put_keys(self, placement: Placement) -> None:
        assert self._keys is not None
        keys = placement.key_positions
        if keys is None:
            self._keys.copy_(self._line)
        else:
            self._keys[:, : placement.reach].copy_(keys)

    def _pad(self, count: int) -> None:
        self._count = count
        self.states[:, count:].zero_()
        self._positions[:, count:].zero_()
        self._slots[:, count:].fill_(self._trash)
        if self._visible is not None:
            self._visible[:, count:].fill_(value=False)
            self._visible[:, count:, 0].fill_(value=True)

    def placement(self) -> Placement | None:
        """Return where the tokens are, with a mask that is made from the buffers when called."""
        if not self._shape.reach:
            return None
        visible = self._visible
        if visible is None:
            visible = self._line <= self._positions[..., None]
        return Placement(
            self._positions,
            self._slots,
            self._shape.reach,
            visible=visible,
            key_positions=self._keys,
        )


class Replays:
    """Run one step on passes of any shape: recorded once for each static shape, then replayed.

    ``slots`` answers the size of the caches that the step writes. What is returned is the caller's
    own: copies of the recording's outputs, without the padding.
    """

    def __init__(
        self,
        step: StaticStep,
        recorder: Recorder,
        slots: Callable[[], int],
        shape_of: ShapeOf = Shape.of,
    ) -> None:
        """Record ``step`` on ``recorder``, in the shapes that ``shape_of`` gives to passes."""
        self._step, self._recorder, self._slots = step, recorder, slots
        self._shape_of = shape_of
        self._recorded: dict[Hashable, tuple[StaticInputs, Body]] = {}

    def __call__(
        self, states: Num[Tensor, "batch token width"], placement: Placement | None = None
    ) -> Outputs:
        """Return the step's outputs for these tokens."""
        slots = self._slots()
        shape = self._shape_of(states, placement, slots)
        known = self._recorded.get(shape)
        if known is None:
            known = self._record(shape, states, placement)
        elif not self._recorder.has_failed:
            known[0].put(states, placement)
        if known is None or self._recorder.has_failed:
            with self._recorder.device.kernels():
                return self._step(states, placement)
        count = states.shape[1]
        return tuple(output[:, :count].clone() for output in known[1]())

    def _record(
        self, shape: Shape, states: Tensor, placement: Placement | None
    ) -> tuple[StaticInputs, Body] | None:
        inputs = StaticInputs(shape, states, self._slots())
        inputs.put(states, placement)
        replay = self._recorder.record(
            lambda: self._step(inputs.states, inputs.placement()), f"a pass of shape {shape}"
        )
        if replay is not None:
            self._recorded[shape] = inputs, replay
        return self._recorded.get(shape)

"""Where the tokens of one pass are: their positions, cache slots, and what they may see.

A pass has one placement for all its layers: ``Pass`` turns it into rotary rows and masks once. A
chain of one node needs no mask, and a longer one is a view of a band that is made once.
"""

from __future__ import annotations

import attrs
import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from specframe._engine.packing import Packing
from specframe._engine.transfer import to_device
from specframe._engine.tree_shape import depths_of


@attrs.frozen(eq=False)
class Placement:
    """Place the tokens of one pass.

    ``reach`` slots are read; ``visible`` says which of them each token sees (None: all of them, or,
    where ``causal``, those up to its own). ``start`` is set where every row's tokens take the same
    consecutive slots, ``start`` the first, and positions equal slots. ``key_positions`` gives the
    position at each slot where it is not the slot's own number. ``packing`` is set where much of a
    batch is padding that need not be computed.
    """

    positions: Int[Tensor, "batch token"]
    slots: Int[Tensor, "batch token"]
    reach: int
    start: int | None = None
    causal: bool = False
    visible: Bool[Tensor, "batch token reach"] | None = None
    key_positions: Int[Tensor, "batch reach"] | None = None
    packing: Packing | None = None


class Board:
    """Make placements on a cache of ``slots`` slots; the last one takes padding.

    A slot before a row's root belongs to the committed token of that position. Padding tokens are
    written to the last slot, which nothing ever sees, and see slot 0 alone. Raises no error of
    specframe's.
    """

    def __init__(self, slots: int, device: torch.device | str = "cpu") -> None:
        """Prepare positions and the causal band once, so that a round need not."""
        self.slots = slots
        self.padding_slot = slots - 1
        self.line = torch.arange(slots, device=device)
        self._row = self.line[None]
        rows = torch.arange(BAND_ROWS, device=device)[:, None]
        columns = torch.arange(2 * slots, device=device)[None]
        self._band = columns <= rows + slots  # [row, offset]

    def chain(self, start: int, count: int) -> Placement:
        """Place ``count`` tokens of a single row in consecutive slots, ``start`` the first."""
        line = self._row.narrow(1, start, count)
        reach = start + count
        if count == 1:
            return Placement(line, line, reach, start)
        if start == 0:
            return Placement(line, line, reach, start, causal=True)
        return Placement(line, line, reach, start, visible=self._causal(start, count)[None])

    def spans(self, starts: list[int], counts: list[int]) -> Placement:
        """Place ``counts[b]`` consecutive tokens of each row, the first at slot ``starts[b]``.

        Rows with fewer tokens are padded at the front.
        """
        if len(starts) == 1:
            return self.chain(starts[0], counts[0])
        width, reach = max(counts), max(map(sum, zip(starts, counts, strict=True)))
        offsets = torch.tensor([[width - count] for count in counts])
        steps = torch.arange(width)[None] - offsets
        real = steps >= 0
        places = torch.where(real, torch.tensor(starts)[:, None] + steps, 0)
        device = self.line.device
        slots = to_device(torch.where(real, places, self.padding_slot), device)
        positions = to_device(places, device)
        visible = self.line[None, None, :reach] <= positions[..., None]
        return Placement(positions, slots, reach, visible=visible, packing=Packing.of(real))

    def trees(
        self,
        bases: list[int],
        parents: list[list[int]],
        slots: list[list[int]],
        first: int = 0,
    ) -> Placement:
        """Place the nodes ``first`` and up of one tree per row; ``bases[b]`` is the root's slot.

        ``slots[b][i]`` is the slot of node i of row b; rows with fewer nodes are padded at the end.
        """
        if len(bases) == 1 and is_chain(bases[0], parents[0], slots[0]):
            return self.chain(bases[0] + first, len(parents[0]) - first)
        width = max(map(len, parents))
        reach = max(slot for row in slots for slot in row) + 1
        # Small arrays filled node by node: NumPy takes a fifth of torch's time for that.
        positions = np.zeros((len(bases), width), dtype=np.int64)
        places = np.full((len(bases), width), self.padding_slot)
        visible = np.zeros((len(bases), width, reach), dtype=bool)
        keys = np.tile(np.arange(reach), (len(bases), 1))
        for row, (base, above, own) in enumerate(zip(bases, parents, slots, strict=True)):
            nodes = len(above)
            positions[row, :nodes] = np.array(depths_of(above)) + base
            places[row, :nodes] = own
            keys[row, own] = positions[row, :nodes]
            visible[row, 0, :base] = True
            visible[row, 0, own[0]] = True
            for node in range(1, nodes):  # its parent comes before it
                visible[row, node] = visible[row, above[node]]
                visible[row, node, own[node]] = True
            visible[row, nodes:, 0] = True
        device = self.line.device
        packing = None
        if len(bases) > 1:
            counts = torch.tensor([len(above) for above in parents])[:, None]
            packing = Packing.of(torch.arange(first, width)[None] < counts)
        return Placement(
            to_device(torch.from_numpy(positions[:, first:]), device),
            to_device(torch.from_numpy(places[:, first:]), device),
            reach,
            visible=to_device(torch.from_numpy(visible[:, first:]), device),
            key_positions=to_device(torch.from_numpy(keys), device),
            packing=packing,
        )

    def _causal(self, start: int, count: int) -> Tensor:
        if count > BAND_ROWS:
            line = self.line[: start + count]
            return line[None] <= self.line[start : start + count, None]
        # A row of the band shifted by ``start``: slot j is seen where j <= start + row.
        shift = self.slots - start
        return self._band[:count, shift : shift + start + count]


BAND_ROWS = 64


def is_chain(base: int, parents: list[int], slots: list[int]) -> bool:
    """Tell whether a tree's nodes follow one another, in slots that do so too."""
    nodes = len(parents)
    return (
        parents[-1] == nodes - 2
        and slots == list(range(base, base + nodes))
        and (parents == list(range(-1, nodes - 1)))
    )

"""A target made of arithmetic: a token becomes a hash of all that it sees.

``Table`` says directly what follows a sequence; ``TableEngine`` says the same through a cache with
slots, masks and layers. They agree only if every token of every pass saw its own prefix, at the
right positions, in every layer's cache.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import attrs
import torch
from torch import Tensor

from specframe import Engine, Filled, Placement, Stops

PRIME = 2_147_483_647  # digests stay below 2**53: float64 holds them exactly
LARGEST = 3.0  # logits lie between 0 and this
Cell = tuple[int, int]  # position and value of a token in one layer
Sight = list[tuple[int, int]]  # the (position, slot) pairs that a token sees


@attrs.frozen
class Table:
    """Say what follows a sequence; it knows neither cache nor mask.

    ``layers`` and ``vocab`` are the sizes of the model, ``width`` the hidden size of its engine;
    another ``salt`` gives another table. ``steps`` is the number of different logits: with few,
    many tokens tie for the first place; with many, the table has a distribution worth sampling
    from. Raises no error of specframe's.
    """

    layers: int = 3
    vocab: int = 6
    salt: int = 0
    steps: int = 4
    width: int = 1
    _columns: dict[tuple[int, ...], list[int]] = attrs.field(factory=dict, eq=False, repr=False)

    def engine(self) -> TableEngine:
        """Return an engine that computes this table."""
        return TableEngine(self)

    def look(self, layer: int, position: int, own: int, seen: Iterable[tuple[int, ...]]) -> int:
        """Return what a layer makes of a token: a digest of itself and of all that it sees."""
        return hash((self.salt, layer, position, own, *seen)) % PRIME

    def column(self, tokens: Sequence[int]) -> list[int]:
        """Return what the last token is before each layer, and after the last one."""
        tokens = tuple(tokens)
        for end in range(1, len(tokens) + 1):
            if tokens[:end] not in self._columns:
                self._columns[tokens[:end]] = self._column(tokens[:end])
        return self._columns[tokens]

    def _column(self, tokens: tuple[int, ...]) -> list[int]:
        before = [self._columns[tokens[:end]] for end in range(1, len(tokens))]
        position, column = len(before), [tokens[-1]]
        for layer in range(self.layers):
            inputs = [above[layer] for above in before] + [column[layer]]
            seen = [(place, place, value) for place, value in enumerate(inputs)]
            column.append(self.look(layer, position, column[layer], seen))
        return column

    def scores(self, digest: int) -> list[float]:
        """Return the logits of a digest, one for each token."""
        unit = LARGEST / (self.steps - 1)
        return [
            # One round of hash leaves neighbouring tokens with nearly the same upper bits.
            float((hash((digest, hash((token, digest)))) >> 16) % self.steps) * unit
            for token in range(self.vocab)
        ]

    def logits(self, tokens: Sequence[int]) -> list[float]:
        """Return the logits after a sequence, one for each token."""
        return self.scores(self.column(tokens)[-1])

    def next(self, tokens: Sequence[int]) -> int:
        """Return the token that follows, the lowest of those that tie."""
        logits = self.logits(tokens)
        return logits.index(max(logits))

    def continuation(self, stops: Stops, prompt: Sequence[int]) -> tuple[list[int], str]:
        """Return the new tokens of plain decoding and why it ends, from this table alone.

        The reason is eos, stop, criteria, length or context.
        """
        tokens = list(prompt)
        while True:
            tokens.append(self.next(tokens))
            new = tokens[len(prompt) :]
            if new[-1] in stops.eos:
                return new, "eos"
            if stops.decode and any(string in stops.decode(new) for string in stops.strings):
                return new, "stop"
            if any(criterion(tokens) for criterion in stops.criteria):
                return new, "criteria"
            if len(new) == stops.max_new_tokens:
                return new, "length"
            if len(tokens) == stops.context:
                return new, "context"


class TableEngine(Engine):
    """Compute a Table from what placements let each token see in the cache.

    A cell is what one layer wrote for one token: (position, value); None was never written. Of the
    hidden states the first component counts, the others are 0. ``calls`` lists the layer ranges
    that were run. Raises AssertionError for a placement that breaks its promises.
    """

    device = torch.device("cpu")
    dtype = torch.float64

    def __init__(self, table: Table, context: int = 1 << 20) -> None:
        """Take what the table says; ``open`` makes the cache."""
        self.table = table
        self.num_layers, self.vocab_size = table.layers, table.vocab
        self.hidden_size, self.context = table.width, context
        self.calls: list[tuple[int, int]] = []
        self.cells: list[list[list[Cell | None]]] = []  # [layer][row][slot]

    def open(self, batch: int, slots: int) -> None:
        """Start with cells that were never written."""
        self.cells = [[[None] * slots for _ in range(batch)] for _ in range(self.num_layers)]

    def fill(self, row: int, tokens: list[int], taps: Collection[int] = ()) -> Filled:
        """Run a prompt through all layers of one row; ``taps`` are numbers of layers run."""
        line = torch.arange(len(tokens))[None]
        placement = Placement(line, line, len(tokens), start=0, causal=True)
        every = range(self.num_layers)
        hidden, kept = self._pass([row], self.embed(torch.tensor([tokens])), placement, every, taps)
        return Filled(hidden[:, -1], {layer: states[0] for layer, states in kept.items()})

    def run(  # noqa: PLR0913 (two options that most callers leave out)
        self,
        hidden: Tensor,
        placement: Placement,
        lo: int,
        hi: int,
        *,
        skip: Collection[int] = (),
        taps: Collection[int] = (),
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Run layers on the batch's cells; the dictionary maps ``taps`` to the states there."""
        self.calls.append((lo, hi))
        layers = [layer for layer in range(lo, hi) if layer not in skip]
        return self._pass(range(len(self.cells[0])), hidden, placement, layers, taps)

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the token ids themselves."""
        return self._widened(tokens.double())

    def norm(self, hidden: Tensor) -> Tensor:
        """Return states from which ``logits`` can tell whether it was called on normed ones."""
        return -hidden - 1

    def logits(self, normed: Tensor) -> Tensor:
        """Look the digests up."""
        digests = (-normed[..., 0] - 1).tolist()
        return torch.tensor(
            [[self.table.scores(int(digest)) for digest in row] for row in digests],
            dtype=self.dtype,
        )

    def gather(self, sources: list[list[int]], starts: list[int]) -> None:
        """Move accepted cells, in every layer."""
        for layer in self.cells:
            for cells, source, start in zip(layer, sources, starts, strict=True):
                cells[start : start + len(source)] = [cells[slot] for slot in source]

    def keep(self, kept: list[int]) -> None:
        """Keep only the rows ``kept``, in this order."""
        self.cells = [[layer[row] for row in kept] for layer in self.cells]

    def twin(self) -> TableEngine:
        """Return an engine on the same table."""
        return TableEngine(self.table, self.context)

    def _widened(self, values: Tensor) -> Tensor:
        wide = torch.zeros(*values.shape, self.hidden_size, dtype=self.dtype)
        wide[..., 0] = values
        return wide

    def _pass(
        self,
        rows: Sequence[int],
        hidden: Tensor,
        placement: Placement,
        layers: Sequence[int],
        taps: Collection[int],
    ) -> tuple[Tensor, dict[int, Tensor]]:
        assert hidden.shape[:2] == (len(rows), placement.positions.shape[1])
        check_start(placement)
        kept, reached = {}, 0
        sights = seen_slots(placement)
        for layer in layers:
            if layer in taps:
                kept[layer] = hidden
            hidden = self._layer(rows, hidden, placement, sights, layer)
            reached = layer + 1
        if reached in taps:
            kept[reached] = hidden
        return hidden, kept

    def _layer(
        self,
        rows: Sequence[int],
        hidden: Tensor,
        placement: Placement,
        sights: list[list[Sight]],
        layer: int,
    ) -> Tensor:
        out = []
        for place, row in enumerate(rows):
            cells = self.cells[layer][row]
            values = [int(value) for value in hidden[place, :, 0].tolist()]
            positions = placement.positions[place].tolist()
            slots = placement.slots[place].tolist()
            for slot, *cell in zip(slots, positions, values, strict=True):
                cells[slot] = (cell[0], cell[1])
            out.append(
                [
                    self.table.look(layer, position, value, read(cells, sight))
                    for position, value, sight in zip(positions, values, sights[place], strict=True)
                ]
            )
        return self._widened(torch.tensor(out, dtype=self.dtype))


def read(cells: list[Cell | None], sight: Sight) -> list[tuple[int, int, int]]:
    """Return the cells in sight with the position that the placement says each has."""
    found = []
    for position, slot in sight:
        cell = cells[slot]
        assert cell is not None, "a slot is read before it is written"
        found.append((position, *cell))
    return found


def check_start(placement: Placement) -> None:
    """Compare ``start`` with what it promises: consecutive slots, equal to the positions."""
    if placement.start is not None:
        line = torch.arange(placement.start, placement.start + placement.positions.shape[1])
        assert torch.equal(placement.slots, line[None])
        assert torch.equal(placement.positions, line[None])


def seen_slots(placement: Placement) -> list[list[Sight]]:
    """Return for every token of every row the (position, slot) pairs that it sees, in order."""
    batch, width = placement.positions.shape
    keys = placement.key_positions
    keys = torch.arange(placement.reach).expand(batch, -1) if keys is None else keys
    visible = visibility(placement)
    assert visible.shape == (batch, width, placement.reach)
    assert keys.shape == (batch, placement.reach)
    return [
        [
            sorted((key, slot) for slot, key in enumerate(keys_of_row) if sees[slot])
            for sees in visible_of_row
        ]
        for keys_of_row, visible_of_row in zip(keys.tolist(), visible.tolist(), strict=True)
    ]


def visibility(placement: Placement) -> Tensor:
    """Return the mask ``[batch, token, reach]`` of a placement."""
    if placement.visible is not None:
        return placement.visible
    everything = torch.ones(*placement.positions.shape, placement.reach, dtype=torch.bool)
    if not placement.causal:
        return everything
    return everything & (torch.arange(placement.reach) <= placement.slots[..., None])

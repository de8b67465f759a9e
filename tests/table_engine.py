"""A target made of arithmetic: what a token becomes is a hash of all that it sees.

``Table`` says directly what follows a sequence; ``TableEngine`` says the same through a cache with
slots, masks and layers. They agree only if every token of every pass saw its own prefix, at the
right positions, in every layer's cache.
"""

import attrs
import torch

from specframe import (
    Engine,
    Filled,
    Placement,
    Row,
    Rows,
    Sampler,
    StopPolicy,
    Stops,
    Target,
    decode,
)
from specframe_verifiers._match import GreedyVerifier

torch.set_num_threads(1)  # on tensors this small a second thread only waits for the first
PRIME = 2_147_483_647  # digests stay below 2**53: float64 holds them exactly
LEVELS = 4  # logits are 0 to 3, so that many a token ties for the first place


@attrs.frozen
class Table:
    """Answer what a sequence leads to; knows neither cache nor mask."""

    layers: int = 3
    vocab: int = 6
    salt: int = 0
    _columns: dict = attrs.field(factory=dict, eq=False)

    def look(self, layer, position, own, seen):
        """Return what a layer makes of a token: a digest of itself and of all that it sees."""
        return hash((self.salt, layer, position, own, *seen)) % PRIME

    def column(self, tokens):
        """Return what the last token is before each layer, and after the last one."""
        tokens = tuple(tokens)
        for end in range(1, len(tokens) + 1):
            if tokens[:end] not in self._columns:
                self._columns[tokens[:end]] = self._column(tokens[:end])
        return self._columns[tokens]

    def _column(self, tokens):
        before = [self._columns[tokens[:end]] for end in range(1, len(tokens))]
        position, column = len(before), [tokens[-1]]
        for layer in range(self.layers):
            inputs = [above[layer] for above in before] + [column[layer]]
            seen = [(place, place, value) for place, value in enumerate(inputs)]
            column.append(self.look(layer, position, column[layer], seen))
        return column

    def scores(self, digest):
        """Return the logits that a digest stands for."""
        return [float((hash((digest, token)) >> 16) % LEVELS) for token in range(self.vocab)]

    def logits(self, tokens):
        """Return the logits behind a sequence."""
        return self.scores(self.column(tokens)[-1])

    def next(self, tokens):
        """Return the token that follows, the lowest of those that tie."""
        logits = self.logits(tokens)
        return logits.index(max(logits))

    def continuation(self, stops, prompt):
        """Return what plain decoding says, and why it ends, with nothing but this table."""
        tokens = list(prompt)
        while True:
            tokens.append(self.next(tokens))
            new = tokens[len(prompt) :]
            if new[-1] in stops.eos:
                return new, "eos"
            if any(string in stops.decode(new) for string in stops.strings):
                return new, "stop"
            if any(criterion(tokens) for criterion in stops.criteria):
                return new, "criteria"
            if len(new) == stops.max_new_tokens:
                return new, "length"
            if len(tokens) == stops.context:
                return new, "context"


class TableEngine(Engine):
    """Compute a Table from what placements let each token see in the cache.

    A cell is what one layer wrote for one token: (position, value); None was never written.
    """

    device = torch.device("cpu")
    dtype = torch.float64
    hidden_size = 1

    def __init__(self, table, context=1 << 20):
        self.table = table
        self.num_layers, self.vocab_size = table.layers, table.vocab
        self.context = context
        self.calls = []

    def open(self, batch, slots):
        self.cells = [[[None] * slots for _ in range(batch)] for _ in range(self.num_layers)]

    def fill(self, row, tokens, taps=()):
        line = torch.arange(len(tokens))[None]
        placement = Placement(line, line, len(tokens), start=0, causal=True)
        every = range(self.num_layers)
        hidden, kept = self._pass([row], self.embed(torch.tensor([tokens])), placement, every, taps)
        return Filled(hidden[:, -1], {layer: states[0] for layer, states in kept.items()})

    def run(self, hidden, placement, lo, hi, *, skip=(), taps=()):
        self.calls.append((lo, hi))
        layers = [layer for layer in range(lo, hi) if layer not in skip]
        return self._pass(range(len(self.cells[0])), hidden, placement, layers, taps)

    def embed(self, tokens):
        return tokens[..., None].double()

    def norm(self, hidden):
        return -hidden - 1

    def logits(self, normed):
        digests = (-normed[..., 0] - 1).tolist()
        return torch.tensor(
            [[self.table.scores(int(digest)) for digest in row] for row in digests],
            dtype=self.dtype,
        )

    def gather(self, sources, starts):
        for layer in self.cells:
            for cells, source, start in zip(layer, sources, starts, strict=True):
                cells[start : start + len(source)] = [cells[slot] for slot in source]

    def keep(self, kept):
        self.cells = [[layer[row] for row in kept] for layer in self.cells]

    def twin(self):
        return TableEngine(self.table, self.context)

    def _pass(self, rows, hidden, placement, layers, taps):
        assert hidden.shape[:2] == (len(rows), placement.positions.shape[1])
        check_start(placement)
        kept, reached = {}, 0
        sights = seen_slots(placement)
        for layer in layers:
            if layer in taps:
                kept[layer] = hidden
            hidden = self._layer(self.cells[layer], rows, hidden, placement, sights, layer)
            reached = layer + 1
        if reached in taps:
            kept[reached] = hidden
        return hidden, kept

    def _layer(self, cells, rows, hidden, placement, sights, layer):
        out = []
        for place, row in enumerate(rows):
            values = [int(value) for value in hidden[place, :, 0].tolist()]
            positions = placement.positions[place].tolist()
            for slot, cell in zip(
                placement.slots[place].tolist(), zip(positions, values, strict=True), strict=True
            ):
                cells[row][slot] = cell
            out.append(
                [
                    self.table.look(layer, position, value, read(cells[row], sight))
                    for position, value, sight in zip(positions, values, sights[place], strict=True)
                ]
            )
        return torch.tensor(out, dtype=self.dtype)[..., None]


def read(cells, sight):
    """Return the cells in sight with the position that the placement says each has."""
    assert all(cells[slot] is not None for _, slot in sight), "a slot is read before it is written"
    return [(position, *cells[slot]) for position, slot in sight]


def check_start(placement):
    """Hold ``start`` against what it promises: consecutive slots, equal to the positions."""
    if placement.start is not None:
        line = torch.arange(placement.start, placement.start + placement.positions.shape[1])
        assert torch.equal(placement.slots, line[None])
        assert torch.equal(placement.positions, line[None])


def seen_slots(placement):
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


def visibility(placement):
    """Return the mask ``[batch, token, reach]`` that a placement stands for."""
    if placement.visible is not None:
        return placement.visible
    everything = torch.ones(*placement.positions.shape, placement.reach, dtype=torch.bool)
    if not placement.causal:
        return everything
    return everything & (torch.arange(placement.reach) <= placement.slots[..., None])


def make_rows(prompts, stops):
    """Return rows with the given prompts; ``stops`` is one Stops a prompt, or one for all."""
    stops = [stops] * len(prompts) if isinstance(stops, Stops) else stops
    return Rows(
        [
            Row(index, len(prompt), list(prompt), stop)
            for index, (prompt, stop) in enumerate(zip(prompts, stops, strict=True))
        ]
    )


def run(table, drafter, rows, *, stop=None, keeps_logits=False, extra_nodes=16):
    """Decode ``rows`` with a TableEngine; return its rounds and the engine."""
    engine = TableEngine(table)
    target = Target(engine, extra_nodes=extra_nodes, keeps_logits=keeps_logits)
    drafter.prepare(target)
    rounds = list(decode(target, drafter, GreedyVerifier(), stop or StopPolicy(), Sampler(), rows))
    return rounds, engine

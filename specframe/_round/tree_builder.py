"""How a self-drafter grows its draft: nodes, their slots and what was computed for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor

from specframe._engine.placement import Board, Placement
from specframe._engine.transfer import Reading, padded, to_device
from specframe._engine.tree_shape import chain_shape
from specframe._errors import PluginError
from specframe._round.draft import Draft, Exit, Law
from specframe._round.pruning import select_nodes

if TYPE_CHECKING:
    from specframe._round.rows import Rows


CPU = torch.device("cpu")


@attrs.frozen(eq=False)
class Nodes:
    """Name nodes of a growing tree that were added together.

    ``first`` is the id of the first of them, the same in every row; ``active`` says for each row
    whether they are real or padding.
    """

    first: int
    tokens: Int[Tensor, "batch node"]
    placement: Placement
    active: tuple[bool, ...]

    def __len__(self) -> int:
        """Return how many nodes were added to each row."""
        return self.tokens.shape[1]


class TreeBuilder:
    """Grow one token tree per row; owns the nodes' slots, positions and visibility.

    ``rooms`` is how many levels each row may get. A row that was left out once stays out for the
    rest of the round. ``draft`` closes the tree; ``closed`` is the draft it made. Get one from
    ``Target.tree``; ``add`` and ``draft`` alone raise PluginError.
    """

    closed: Draft | None = None

    def __init__(
        self, board: Board, rows: Rows, device: torch.device, most: list[int] | None = None
    ) -> None:
        """Begin with the roots alone; ``most`` levels of each row replace a larger room."""
        self._board = board
        self.rooms = rows.rooms
        if most is not None:
            self.rooms = [min(pair) for pair in zip(self.rooms, most, strict=True)]
        self._bases = [length - 1 for length in rows.lengths]
        self._parents: list[list[int]] = [[-1] for _ in self._bases]
        self._slots = [[base] for base in self._bases]
        self._depths: list[list[int]] = [[0] for _ in self._bases]
        self._dropped: set[tuple[int, int]] = set()
        self._width = 1
        roots = torch.tensor([[root] for root in rows.roots])
        self._tokens = [roots]  # each on the host as soon as ``tell`` gives it
        self._told: list[list[int]] | None = None  # the tokens, on the host
        self._confidences: list[Tensor] = []
        self._q: list[tuple[list[list[int]], Tensor]] = []
        self._computed: dict[int, tuple[int, Tensor]] = {}
        self._taps: dict[int, dict[int, Tensor]] = {}
        self.root = self._place(to_device(roots, device), (True,) * len(self._bases))

    def add(
        self,
        tokens: Int[Tensor, "batch node"],
        parents: Sequence[Sequence[int]] | None = None,
        *,
        active: Sequence[bool] | None = None,
        confidences: Float[Tensor, "batch node"] | None = None,
        probs: Float[Tensor, "batch inner vocab"] | None = None,
    ) -> Nodes:
        """Add nodes below ``parents`` (ids per row; None: below the newest node) and place them.

        ``active`` says which rows get them (None: all); ``confidences`` are their un-tempered top-1
        probabilities; ``probs`` is q at each of the distinct parents, in the order of their ids.
        Raises PluginError for a level or slot that the row has no room for (a draft is never cut
        after it was drawn), for a pruned parent and for a row that was left out before.
        """
        rows_active = tuple(active) if active is not None else (True,) * len(self._bases)
        count = tokens.shape[1]
        inner: list[list[int]] = []
        for row, is_active in enumerate(rows_active):
            above = [self._width - 1] * count if parents is None else list(parents[row])
            inner.append(sorted(set(above)) if is_active else [])
            if is_active:
                self._extend(row, above)
        self._tokens.append(tokens)
        self._told = None
        if probs is not None:
            self._q.append((inner, probs))
        if confidences is not None:
            self._confidences.append(confidences)
        nodes = self._place(tokens, rows_active)
        self._width += count
        return nodes

    def tell(
        self,
        tokens: Int[Tensor, "batch node"],
        confidences: Float[Tensor, "batch node"] | None = None,
    ) -> None:
        """Take the tokens and confidences of the newest nodes, read to the host.

        A drafter that reads them anyway saves the draft another reading.
        """
        self._tokens[-1] = tokens
        if confidences is not None:
            self._confidences[-1] = confidences

    def prune(self, row: int, nodes: Sequence[int]) -> None:
        """Drop nodes from one row's draft, with all nodes below them; their slots stay holes."""
        for node, parent in enumerate(self._parents[row]):
            if node in nodes or (row, parent) in self._dropped:
                self._dropped.add((row, node))

    def record(self, nodes: Nodes, layer: int, hidden: Tensor, taps: dict[int, Tensor]) -> None:
        """Keep what layers below ``layer`` made of ``nodes``; called by the target.

        ``taps`` maps numbers of layers run to hidden states.
        """
        self._computed[nodes.first] = (layer, hidden)
        self._taps[nodes.first] = self._taps.get(nodes.first, {}) | taps

    def depth(self, row: int, node: int) -> int:
        """Return a node's level; the root's is 0."""
        return self._depths[row][node] if node < len(self._depths[row]) else 0

    def path_tokens(self, row: int, node: int) -> list[int]:
        """Return the tokens below the root that lead to a node, its own last."""
        if node >= len(self._parents[row]):  # padding: the row was left out before
            return []
        if self._told is None:
            self._read()
            self._told = torch.cat(self._tokens, dim=1).tolist()
        path = []
        while node > 0:
            path.append(self._told[row][node])
            node = self._parents[row][node]
        return path[::-1]

    def computed(self, nodes: Nodes) -> tuple[int, Tensor | None]:
        """Return how many layers have run on ``nodes``, and what came out."""
        return self._computed.get(nodes.first, (0, None))

    def draft(self, law: Law = Law.DETERMINISTIC) -> Draft:
        """Close the tree; the layers that ran on all of its nodes become the draft's exit.

        Raises PluginError where drawn nodes were pruned: leaving out what was drawn is a bias.
        """
        if self._dropped and law is not Law.DETERMINISTIC:
            raise PluginError(
                f"the tree was pruned and its law is {law.name}: what was drawn at random must "
                "stay, or the output's distribution changes"
            )
        parents, sizes = self._shape()
        draft = Draft(
            tokens=_joined(self._tokens),
            parents=parents,
            sizes=sizes,
            law=law,
            confidences=self._all_confidences(),
            probs=torch.cat([probs for _, probs in self._q], dim=1) if self._q else None,
            inner=self._inner() if self._q else None,
            exit=self._exit(),
        )
        if self._dropped:
            draft = self._without_dropped(draft)
        if not draft.is_told:
            draft.read_ahead()
        self.closed = draft
        return draft

    def _shape(self) -> tuple[Tensor, Tensor]:
        """Return parents and sizes."""
        if all(depths[-1] == self._width - 1 for depths in self._depths):
            return chain_shape(len(self._bases), self._width, CPU)
        # One tensor for both: after a forward each costs 20 us.
        pairs = zip(self._parents, padded(self._parents, 0, width=self._width), strict=True)
        shape = torch.tensor([[len(own), *row] for own, row in pairs])
        return shape[:, 1:], shape[:, 0]

    def _read(self) -> None:
        """Bring to the host what ``tell`` did not give, in one reading."""
        parts = (self._tokens, self._confidences)
        missing = [
            (part, at) for part in parts for at, values in enumerate(part) if not values.is_cpu
        ]
        if missing:
            values = Reading(*(part[at] for part, at in missing)).wait()
            for (part, at), value in zip(missing, values, strict=True):
                part[at] = value

    def _extend(self, row: int, above: list[int]) -> None:
        if len(self._parents[row]) != self._width:
            raise PluginError(f"row {row} was left out of the tree before and cannot come back")
        for parent in above:
            if (row, parent) in self._dropped:
                raise PluginError(f"row {row}: node {parent} was pruned and can have no child")
            depth = self._depths[row][parent] + 1
            slot = self._bases[row] + len(self._parents[row])
            if depth > self.rooms[row] or slot >= self._board.padding_slot:
                raise PluginError(
                    f"malformed draft: row {row} has room for {self.rooms[row]} levels and "
                    f"{self._board.padding_slot - self._bases[row]} nodes, and was given more"
                )
            self._parents[row].append(parent)
            self._depths[row].append(depth)
            self._slots[row].append(slot)

    def _place(self, tokens: Tensor, active: tuple[bool, ...]) -> Nodes:
        first = self._width - 1 if len(self._tokens) == 1 else self._width
        if self._is_chain_link(first, tokens.shape[1]):
            # It sees everything before it: no mask, no look at the tree.
            placement = self._board.chain(self._bases[0] + first, 1)
            return Nodes(first, tokens, placement, active)
        placement = self._board.trees(self._bases, self._parents, self._slots, first)
        return Nodes(first, tokens, placement, active)

    def _is_chain_link(self, node: int, count: int) -> bool:
        return len(self._bases) == 1 and count == 1 and self._depths[0][-1] == node

    def _all_confidences(self) -> Tensor | None:
        if sum(part.shape[1] for part in self._confidences) != self._width - 1:
            return None
        return _joined([_sure(len(self._bases)), *self._confidences])

    def _exit(self) -> Exit | None:
        layers = {layer for layer, _ in self._computed.values()}
        computed = sum(hidden.shape[1] for _, hidden in self._computed.values())
        if len(layers) != 1 or computed != self._width:
            return None
        top, firsts = layers.pop(), sorted(self._computed)
        hidden = torch.cat([self._computed[first][1] for first in firsts], dim=1)
        shared = set.intersection(*(set(self._taps[first]) for first in firsts))
        taps = {
            layer: hidden
            if layer == top
            else torch.cat([self._taps[first][layer] for first in firsts], dim=1)
            for layer in shared
        }
        slots = padded(self._slots, self._board.padding_slot, width=self._width)
        return Exit(top, hidden, slots, taps)

    def _inner(self) -> Tensor:
        """Return the node of each q ``[batch, inner]``, -1 where a row was left out."""
        parts = [torch.tensor(padded(inner, -1, width=probs.shape[1])) for inner, probs in self._q]
        return torch.cat(parts, dim=1)

    def _without_dropped(self, draft: Draft) -> Draft:
        kept = [
            [node for node in range(len(parents)) if (row, node) not in self._dropped]
            for row, parents in enumerate(self._parents)
        ]
        return select_nodes(draft, kept)


@cache
def _sure(count: int) -> Tensor:
    """Return the confidences of the roots, which were committed."""
    return torch.ones(count, 1)


def _joined(parts: list[Tensor]) -> Tensor:
    """Return the parts as one tensor: on the host, unless a device still works on one of them."""
    away = [part.device for part in parts if not part.is_cpu]
    return torch.cat([to_device(part, away[0]) for part in parts] if away else parts, dim=1)

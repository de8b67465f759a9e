"""How a draft grows: level by level on the shallow layers and the adapter, as a chain or a tree."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from jaxtyping import Bool, Float
from torch import Tensor

import specframe
from specframe import (
    Nodes,
    Reading,
    Rows,
    Sampler,
    Step,
    StopPolicy,
    Target,
    TreeBuilder,
    to_device,
)
from specframe_kangaroo._cached_adapter import CachedAdapter


@attrs.frozen(eq=False)
class Ground:
    """Hold what a draft grows on, for one round."""

    target: Target
    adapter: CachedAdapter
    exit_layer: int
    rows: Rows
    stop: StopPolicy
    sampler: Sampler
    tree: TreeBuilder

    def on_device(self, active: Sequence[bool]) -> Bool[Tensor, " batch"]:
        """Return which rows are active, in the form for a stop policy."""
        return to_device(list(active), self.target.engine.device)

    def run_shallow(self, nodes: Nodes) -> Float[Tensor, "batch node hidden"]:
        """Run the layers below the exit on nodes."""
        return self.target.run(nodes, 0, self.exit_layer)


def grow_chain(ground: Ground, state: Float[Tensor, "batch one hidden"]) -> list[int]:
    """Draft one token a level until the stop policy or the room ends it in every row.

    ``state`` is the adapter's after the roots. Returns how many nodes of each row the adapter has
    seen: all except the last one drafted.
    """
    tree, seen = ground.tree, [1] * len(ground.rows)

    def look(nodes: Nodes) -> tuple[Tensor, Tensor]:
        adapted, exited = state, tree.computed(nodes)[1]
        if nodes.first and exited is not None:
            adapted = ground.adapter(exited, nodes.placement)
            for row in (row for row, is_real in enumerate(nodes.active) if is_real):
                seen[row] = nodes.first + 1
        return ground.target.logits(adapted)[:, -1], adapted[:, -1]

    specframe.grow_chain(
        tree, ground.rows, ground.stop, ground.sampler, look, ahead=ground.run_shallow
    )
    return seen


@attrs.frozen
class TreeShape:
    """Say how wide a tree may become: nodes on level 1, on each level below, and in all."""

    first: int
    top_k: int
    max_nodes: int

    def width(self, level: int, size: int) -> int:
        """Return how many nodes level ``level`` gets in a tree of ``size`` nodes."""
        return min(self.first if level == 1 else self.top_k, self.max_nodes - size)


@attrs.frozen(eq=False)
class Frontier:
    """Hold the deepest level of a tree: its first node's id and each node's path.

    ``scores`` are log-probabilities of the paths, by which the next choice is ranked; ``beliefs``
    are those without temperature and noise, by which drafting stops. They differ only when
    sampling.
    """

    first: int
    scores: Float[Tensor, "batch node"]
    beliefs: Float[Tensor, "batch node"]


@attrs.frozen(eq=False)
class Level:
    """Hold the nodes chosen for the next level; ``parents`` count from the frontier."""

    tokens: Tensor
    parents: Tensor
    scores: Tensor
    beliefs: Tensor
    confidences: Tensor

    def __len__(self) -> int:
        """Return how many nodes were chosen in each row."""
        return self.tokens.shape[1]

    @property
    def shown(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what the host reads: tokens, parents, confidences, how many are not ruled out."""
        possible = self.scores.isfinite().sum(dim=-1)
        return self.tokens, self.parents, self.confidences, possible

    def first(self, count: int) -> Level:
        """Return the ``count`` most probable of the nodes."""
        if count == len(self):
            return self
        parts = (self.tokens, self.parents, self.scores, self.beliefs, self.confidences)
        return Level(*(part[:, :count] for part in parts))


def grow_tree(
    ground: Ground, state: Float[Tensor, "batch one hidden"], shape: TreeShape
) -> list[int]:
    """Draft the dynamic tree of Kangaroo, section 4.2; returns what ``grow_chain`` does.

    Of the K x K likeliest continuations of a level, the K whose paths are most probable become the
    next; of its nodes without a child, the less probable half is pruned. All nodes of a level pass
    the shallow layers at once.
    """
    stop, tree, rooms = ground.stop, ground.tree, ground.rows.rooms
    goes_on = [room > 0 for room in rooms]
    nothing = torch.zeros(len(rooms), 1, device=state.device)
    frontier, size, level = Frontier(0, nothing, nothing), 1, 1
    seen = [1] * len(rooms)
    while True:
        logits = ground.target.logits(state)
        chosen = choose_level(ground, frontier, logits, shape.width(level, size))
        step = level_step(level, logits, state, ground.on_device(goes_on), chosen)
        goes_on = step.admits(stop, goes_on)
        if not any(goes_on):
            return seen
        stopped = step.ends(stop)
        told = Reading(*chosen.shown, *([] if stopped is None else [stopped]))
        tokens, above, beliefs, possible, *ends = told.wait()
        chosen = chosen.first(int(possible.max()))  # filters rule the others out
        tokens, above, beliefs = (part[:, : len(chosen)] for part in (tokens, above, beliefs))
        parents = (above + frontier.first).tolist()
        nodes = tree.add(chosen.tokens, parents, active=goes_on, confidences=chosen.confidences)
        tree.tell(tokens, beliefs)
        exited = ground.run_shallow(nodes)
        prune_childless(tree, frontier, parents, goes_on)
        size += len(nodes)
        goes_on = [on and room > level for on, room in zip(goes_on, rooms, strict=True)]
        for ended in ends:  # one at most: none where the policy ends nothing
            goes_on = [on and not end for on, end in zip(goes_on, ended.tolist(), strict=True)]
        level += 1
        if not any(goes_on) or shape.width(level, size) < 1:
            return seen
        state = ground.adapter(exited, nodes.placement)
        expanded = nodes.first + len(nodes)
        seen = [expanded if on else s for on, s in zip(goes_on, seen, strict=True)]
        frontier = Frontier(nodes.first, chosen.scores, chosen.beliefs)


def choose_level(
    ground: Ground, frontier: Frontier, logits: Float[Tensor, "batch node vocab"], width: int
) -> Level:
    """Choose the ``width`` most probable paths that are one token longer than the frontier's."""
    ids = list(range(frontier.first, frontier.first + logits.shape[1]))
    ranked = ground.sampler.ranked(ground.rows, ground.tree, [ids] * len(ground.rows), logits)
    logs = ranked.log_softmax(dim=-1)
    beliefs = logs if ranked is logits else logits.log_softmax(dim=-1, dtype=ranked.dtype)
    best, likeliest = logs.topk(min(width, logs.shape[-1]), dim=-1)  # [batch, node, child]
    paths = (frontier.scores[..., None] + best).flatten(1)
    scores, places = paths.topk(min(width, paths.shape[1]), dim=-1)
    parents, tokens = places // best.shape[-1], likeliest.flatten(1).gather(1, places)
    rows = torch.arange(logits.shape[0], device=logits.device)[:, None]
    return Level(
        tokens,
        parents,
        scores,
        frontier.beliefs.gather(1, parents) + beliefs[rows, parents, tokens],
        beliefs.amax(dim=-1).gather(1, parents).exp(),
    )


def level_step(
    level: int, logits: Tensor, state: Tensor, active: Bool[Tensor, " batch"], chosen: Level
) -> Step:
    """Return a level of a tree for the stop policy: its likeliest path and what it grew from."""
    rows = torch.arange(logits.shape[0], device=logits.device)
    ruled_out = chosen.scores.isneginf()
    belief, place = chosen.beliefs.masked_fill(ruled_out, -torch.inf).max(dim=-1)
    above = chosen.parents[rows, place]
    return Step(level, logits[rows, above], active, state[rows, above], belief.exp())


def prune_childless(
    tree: TreeBuilder, frontier: Frontier, parents: Sequence[Sequence[int]], active: Sequence[bool]
) -> None:
    """Drop the less probable half of the frontier nodes without a chosen child."""
    count = frontier.scores.shape[1]
    for row, above in enumerate(parents):
        if active[row] and frontier.first:
            ids = range(frontier.first, frontier.first + count)  # the likeliest first
            childless = sorted(set(ids) - set(above))
            tree.prune(row, childless[(len(childless) + 1) // 2 :])

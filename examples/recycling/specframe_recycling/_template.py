"""The shape of the tree: which ranks, below which ranks."""

from __future__ import annotations

import heapq

DECAY = 0.5  # a follower's chance, from one rank to the next


def template(nodes: int, width: int) -> list[tuple[int, ...]]:
    """Return the ``nodes`` likeliest paths of ranks, each one behind the path above it.

    If a follower of rank r is right with chance (1 - DECAY) x DECAY^r, whatever leads there, a
    path's chance is a product that falls along the path and from sibling to sibling. So the best
    paths are found by always taking the likeliest one that is open.
    """
    found: list[tuple[int, ...]] = []
    open_paths: list[tuple[float, tuple[int, ...]]] = [(DECAY - 1, (0,))]  # minus the chance
    while open_paths and len(found) < nodes:
        chance, path = heapq.heappop(open_paths)
        found.append(path)
        heapq.heappush(open_paths, (chance * (1 - DECAY), (*path, 0)))
        if path[-1] + 1 < width:
            heapq.heappush(open_paths, (chance * DECAY, (*path[:-1], path[-1] + 1)))
    return found

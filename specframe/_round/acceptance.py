"""Acceptance: how far down a draft the target chose every node, on the host or on a device.

Where passes are recorded, the walk down the trees is a recording of fixed shape too (``follow``).
The host then reads draft, largest logits and verdict in one stretch, with nothing to send in
between, and cuts the path at its stops. A verifier that can be awaited says so (``capturable``).
What else makes the host wait: a policy that answers before a token, penalties and processors (they
read the path), compositions (they look at each draft), exact mode, and sampling on the eager
runner.

Where siblings hold the same token, the walk follows whichever leads further: both are what the
target said.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs
import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from specframe._engine.engine import Engine
from specframe._engine.transfer import Reading, to_device
from specframe._round.draft import Draft
from specframe._round.verdict import AwaitedVerdict, Verdict


@attrs.frozen(eq=False)
class Acceptance:
    """Walk down drafts, on the host or on a device.

    ``waits``: the host waits for draft and scores before the verifier is asked; else after it has
    answered, while a device walks.
    """

    walked: Callable[[Draft, Tensor], Verdict]
    waits: bool

    def __call__(self, draft: Draft, choices: Int[Tensor, "batch node"]) -> Verdict:
        """Return the deepest path of chosen tokens in each row, and the choice after it."""
        return self.walked(draft, choices)


def acceptance_on(engine: Engine) -> Acceptance:
    """Return what accepts on this engine: on the host, unless the engine records steps."""
    step = engine.recorded(follow)
    if step is None:
        return ON_HOST
    return Acceptance(partial(accept_on_device, step, engine.device), waits=False)


def accept(draft: Draft, choices: Int[Tensor, "batch node"]) -> Verdict:
    """Return the deepest path of chosen tokens in each row, and the choice after it."""
    (told,) = Reading(choices).wait()
    lists: list[list[int]] = told.tolist()
    paths = [walk(draft, row, chosen) for row, chosen in enumerate(lists)]
    after = [chosen[path[-1] if path else 0] for chosen, path in zip(lists, paths, strict=True)]
    return Verdict(paths, after, told)


ON_HOST = Acceptance(accept, waits=True)


def walk(draft: Draft, row: int, choices: list[int]) -> list[int]:
    """Return the accepted nodes of one row: the deepest way on which every node was chosen."""
    tokens, parents = draft.token_lists[row], draft.parent_lists[row]
    candidates = draft.candidate_lists[row]
    ways: dict[int, list[int]] = {0: []}
    # A parent comes before its children, so one look at each node, in order, walks the tree;
    # siblings may hold the same token, and then each of them is a way.
    for node in range(1, len(tokens)):
        above = parents[node]
        is_told = above in ways and tokens[node] == choices[above]
        if is_told and candidates[node]:
            ways[node] = [*ways[above], node]
    return max(ways.values(), key=len)


def accept_on_device(
    step: Callable[[Tensor], Tensor],
    device: torch.device,
    draft: Draft,
    choices: Int[Tensor, "batch node"],
) -> Verdict:
    """Return what ``accept`` does, from a device that nobody waits for before it is read.

    ``step`` is ``follow``, recorded.
    """
    width = choices.shape[1]
    # A recorded step must read the device's own memory: a verifier may hand in the host's.
    parts = (
        draft.tokens[:, :width, None],
        choices[..., None],
        torch.from_numpy(_ways(draft, width)),
    )
    return AwaitedVerdict(step(torch.cat([to_device(part, device) for part in parts], dim=2)))


def _ways(draft: Draft, width: int) -> np.ndarray:
    """Return what the host knows of each node, before the device knows what was chosen.

    That is its parent, its depth, how many reasons it needs to be accepted, and the path that leads
    to it, itself included, padded with the root to a power of two. The root needs no reason; a
    candidate needs one, that it was chosen; other nodes need two, which they never have. Padding
    repeats the root.
    """
    batch, longest = draft.tokens.shape[0], 1 << (width - 1).bit_length()
    ways = np.zeros((batch, width, 3 + longest), dtype=np.int64)
    for row, (parents, candidates) in enumerate(
        zip(draft.parent_lists, draft.candidate_lists, strict=True)
    ):
        for node in range(1, len(parents)):
            above, depth = parents[node], draft.depths[row][node]
            ways[row, node] = ways[row, above]
            ways[row, node, :3] = above, depth, 1 if candidates[node] else 2
            ways[row, node, 2 + depth] = node
    return ways


def follow(nodes: Int[Tensor, "batch node any"]) -> Int[Tensor, "batch node 4"]:
    """Walk down each tree by operations of fixed shape, which can be recorded.

    ``nodes`` hold their token, the target's choice there, and ``_ways``. Returns the path (padded
    with 0), the choices, and in every node of a row how many were accepted and the token after
    them.
    """
    width = nodes.shape[1]
    tokens, choices, parents, depths, reasons = nodes[..., :5].unbind(dim=2)
    paths = nodes[..., 5:]
    stands = (tokens == choices.gather(1, parents)) >= reasons
    is_way = stands[:, None].expand(-1, width, -1).gather(2, paths).all(dim=2)
    # The first of the deepest, as on the host.
    last = torch.where(is_way, depths, -1).argmax(dim=1, keepdim=True)
    path = paths.gather(1, last[..., None].expand(-1, -1, paths.shape[2]))[:, 0, :width]
    accepted, after = (values.gather(1, last).expand(-1, width) for values in (depths, choices))
    return torch.stack([path, choices, accepted, after], dim=2)

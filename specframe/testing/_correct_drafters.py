"""Drafters that keep every rule: what the kit passes, and what its fakes are made from."""

from __future__ import annotations

import torch
from torch import Tensor

from specframe import (
    Capabilities,
    Captured,
    Commit,
    Draft,
    Drafter,
    Law,
    Rows,
    Sampler,
    Scores,
    SequenceDrafter,
    Step,
    StopPolicy,
    Target,
    TreeBuilder,
)


class Echo(SequenceDrafter):
    """Guess that what followed the last token before will follow it again."""

    def guess(self, tokens: list[int], room: int) -> list[int]:
        """Return what follows the latest earlier place, or the last token again."""
        for place in range(len(tokens) - 2, -1, -1):
            if tokens[place] == tokens[-1]:
                return tokens[place + 1 : place + 1 + room]
        return [tokens[-1]] * min(room, 3)


class Sometimes(SequenceDrafter):
    """Guess tokens of the text, as many as the text itself decides, now and then none."""

    def guess(self, tokens: list[int], room: int) -> list[int]:
        """Return what no other drafter is likely to."""
        mark = 7 * sum(tokens) + len(tokens)
        return [tokens[mark * place % len(tokens)] for place in range(min(mark % 5, room))]


class Learner(SequenceDrafter):
    """Guess what followed a token most lately, in this sequence or in earlier ones."""

    capabilities = Capabilities(learns=True)

    def __init__(self) -> None:
        """Know nothing yet."""
        self._after: dict[int, int] = {}

    def guess(self, tokens: list[int], room: int) -> list[int]:
        """Return a walk through the table."""
        found: list[int] = []
        last = tokens[-1]
        while last in self._after and len(found) < room:
            last = self._after[last]
            found.append(last)
        return found

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        """Learn from what was committed."""
        for row in rows.active:
            self._after.update(zip(row.tokens[:-1], row.tokens[1:], strict=True))

    def reset(self) -> None:
        """Know nothing again."""
        self._after = {}


class EarlyExit(Drafter):
    """Draft a chain with the target's first layer and its head."""

    capabilities = Capabilities(
        sampling=True, shows=frozenset({"confidence", "probs", "entropy", "hidden"})
    )

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        """Remember the target; there is no other state."""
        self.target = target

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Add token by token, as far as room and stop policy allow."""
        tree = self.target.tree(rows)
        nodes, rooms = tree.root, torch.tensor(rows.rooms)
        active = rooms > 0
        while True:
            hidden = self.target.run(nodes, 0, 1)
            level = len(tree.root) + nodes.first
            logits = self.target.logits(self.target.norm(hidden))[:, -1]
            step = Step(level, logits, active, hidden[:, -1])
            active = _unless(active & (rooms >= level), stop.before(step))
            tokens, q = self.draw(rows, tree, level - 1, logits, sampler)
            active &= self.keeps(tokens, q)
            if not bool(active.any()):
                return self.finished(tree.draft(Law.DETERMINISTIC if q is None else Law.IID))
            probs = None if q is None else q[:, None]
            nodes = tree.add(tokens[:, None], active=active.tolist(), probs=probs)
            active = _unless(active, stop.after(step))

    def draw(
        self, rows: Rows, tree: TreeBuilder, node: int, logits: Tensor, sampler: Sampler
    ) -> tuple[Tensor, Tensor | None]:
        """Return a token for each row, and q if it is wanted."""
        return sampler.draft(rows, tree, node, logits)

    def keeps(self, tokens: Tensor, q: Tensor | None) -> Tensor:
        """Return which drawn tokens go into the draft: all of them."""
        return torch.ones(len(tokens), dtype=torch.bool)

    def finished(self, draft: Draft) -> Draft:
        """Return the draft as it is handed over."""
        return draft


class Fork(Drafter):
    """Draft two tokens below the root and one below each, running the target's first layer."""

    capabilities = Capabilities(tree=True, max_nodes=5)

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        """Remember the target."""
        self.target = target

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Grow as many of the two levels as each row has room for."""
        tree = self.target.tree(rows)
        self.target.run(tree.root, 0, 1)
        roots, vocab = torch.tensor(rows.roots)[:, None], self.target.engine.vocab_size
        for level, parents in ((1, [0, 0]), (2, [1, 2])):
            active = [room >= level for room in rows.rooms]
            if any(active):
                steps = torch.tensor([[level, level + 1]])
                above = [parents if goes_on else [] for goes_on in active]
                nodes = tree.add((roots + steps) % vocab, above, active=active)
                self.target.run(nodes, 0, 1)
        return self.finished(tree.draft())

    def finished(self, draft: Draft) -> Draft:
        """Return the draft as it is handed over."""
        return draft


def _unless(active: Tensor, stopped: Tensor | None) -> Tensor:
    return active if stopped is None else active & ~stopped

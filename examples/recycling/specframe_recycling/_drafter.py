"""Token Recycling (Luo et al., arXiv 2408.08696): the target's own candidates, used once more.

Whenever the target scores a token, accepted or not, its likeliest followers there are written down.
A draft is a tree of them: the followers of the root, theirs, and so on, in a fixed shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from specframe import (
    Capabilities,
    Commit,
    Draft,
    Drafter,
    Row,
    Rows,
    Sampler,
    Scores,
    StopPolicy,
)
from specframe_recycling._options import RecyclingOptions
from specframe_recycling._template import template


class RecyclingDrafter(Drafter):
    """Draft a tree of remembered followers per row.

    What is remembered is shared by all rows and outlives the decode, until ``reset``: the second
    text is drafted better than the first. A token that was never scored has no children.
    """

    def __init__(self, options: RecyclingOptions) -> None:
        """Lay out the tree; nothing is remembered yet."""
        self.capabilities = Capabilities(tree=True, max_nodes=options.max_nodes, learns=True)
        self.most_levels = options.steps
        self._width = options.width
        self._paths = template(options.max_nodes - 1, options.width)
        self._followers: dict[int, list[int]] = {}  # the likeliest first

    def stop_settings(self) -> Mapping[str, object]:
        """Return the number of levels, which bounds every stop policy."""
        return {"steps": self.most_levels}

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Draft the tree that grows from each row's root, as deep as its room."""
        trees = [list(self._tree(row)) for row in rows.active]
        return Draft.trees(
            [[token for token, _ in tree] for tree in trees],
            [[parent for _, parent in tree] for tree in trees],
        )

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        """Remember what the target finds likely behind every node, refused ones too.

        Of a token that stands at several nodes, the last one in node order counts.
        """
        width = min(self._width, scores.logits.shape[-1])
        likeliest = scores.logits.topk(width, dim=-1).indices.tolist()
        for tokens, followers in zip(draft.token_lists, likeliest, strict=True):
            # Padding has scores too, and no token: the shorter list ends the row.
            self._followers.update(zip(tokens, followers, strict=False))

    def reset(self) -> None:
        """Forget all followers."""
        self._followers.clear()

    def _tree(self, row: Row) -> Iterator[tuple[int, int]]:
        """Yield token and parent of each node, the root first."""
        yield row.root, -1
        nodes: dict[tuple[int, ...], int] = {(): 0}
        tokens = [row.root]
        for path in self._paths:
            above = nodes.get(path[:-1])
            if above is None or len(path) > row.room:
                continue
            followers = self._followers.get(tokens[above], ())
            if path[-1] < len(followers):
                nodes[path] = len(tokens)
                tokens.append(followers[path[-1]])
                yield tokens[-1], above

"""What a drafter declares of itself: what it needs of the target, and what it can do."""

from __future__ import annotations

import attrs


@attrs.frozen
class Needs:
    """Say what a drafter wants captured from the target; it captures that and nothing else.

    ``taps`` are hidden states by the number of layers run (0 = embeddings), of every node;
    ``normed`` the last ones after the final norm; ``prompt``: of the prompt's tokens too.
    """

    taps: frozenset[int] = frozenset()
    normed: bool = False
    prompt: bool = False


@attrs.frozen
class Capabilities:
    """Say what a drafter can do.

    ``tree``: its drafts may branch; ``batch``: it drafts for several rows; ``sampling``: it gives
    the distribution q that it drew from; ``max_nodes``: most nodes of one draft, root included
    (needed for trees: a chain has at most one node a level); ``shows``: what of Step it can show a
    stop policy; ``learns``: its drafts depend on earlier rounds or decodes too, not on the
    committed tokens alone.
    """

    tree: bool = False
    batch: bool = True
    sampling: bool = False
    max_nodes: int | None = None
    shows: frozenset[str] = frozenset()
    learns: bool = False

"""What a drafter declares: what it needs of the target, and what it can do."""

from __future__ import annotations

import attrs


@attrs.frozen
class Needs:
    """Say what a drafter wants captured from the target; it captures that and nothing else.

    ``taps`` are hidden states of every node, named by the number of layers run (0 = embeddings);
    ``normed``: the last ones after the final norm; ``prompt``: those of the prompt's tokens too.
    The decoder raises PluginError for a layer that the target does not have.
    """

    taps: frozenset[int] = frozenset()
    normed: bool = False
    prompt: bool = False


@attrs.frozen
class Capabilities:
    """Say what a drafter can do.

    ``tree``: its drafts may branch; ``batch``: it drafts for several rows; ``sampling``: it gives
    the distribution q that it drew from; ``max_nodes``: most nodes of one draft, root included
    (required for trees: a chain has at most one node a level); ``shows``: what of Step it can show
    a stop policy: confidence, entropy, hidden, logits, probs, scores; ``learns``: its drafts depend
    on earlier rounds or decodes too, not on the committed tokens alone. The decoder raises
    PluginError for a declaration that cannot be true.
    """

    tree: bool = False
    batch: bool = True
    sampling: bool = False
    max_nodes: int | None = None
    shows: frozenset[str] = frozenset()
    learns: bool = False

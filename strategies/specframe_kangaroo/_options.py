"""What Kangaroo lets the user choose; None leaves the choice to the adapter's metadata."""

from __future__ import annotations

import attrs

from specframe import at_least, not_negative, option


@attrs.frozen
class KangarooOptions:
    """Options of the drafter ``kangaroo``: option, else the adapter's metadata, else a default.

    Raises OptionError for a value that is out of range.
    """

    adapter: str | None = option(
        None, help="folder of the trained adapter; the demo model brings its own"
    )
    exit_layer: int | None = option(
        None,
        help="target layers that draft; else the adapter's metadata, else 2",
        unit="layers",
        check=at_least(1),
    )
    steps: int | None = option(
        None,
        help="most tokens drafted in a round, under any stop policy; "
        "else the adapter's metadata, else 6",
        unit="tokens",
        check=at_least(1),
    )
    threshold: float | None = option(
        None,
        help="stop drafting after a token whose top-1 probability lies below this (above 1: "
        "after every first draft), in tree mode the probability of the best path; "
        "else the adapter's metadata, else 0.6, in tree mode 0.4",
        unit="probability",
        check=not_negative,
    )
    tree: bool = option(default=False, help="draft a tree instead of a chain")
    tree_top_k: int = option(
        10, help="nodes on each level of a tree", unit="tokens", check=at_least(1)
    )
    tree_first_k: int | None = option(
        None,
        help="nodes on level 1 of a tree; else tree_top_k; 1 roots the tree at the first drafted "
        "token, as in the paper",
        unit="tokens",
        check=at_least(1),
    )
    max_nodes: int = option(
        64, help="most nodes of a tree, the root included", unit="tokens", check=at_least(2)
    )

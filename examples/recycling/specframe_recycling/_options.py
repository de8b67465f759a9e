"""What the drafter lets the user choose."""

from __future__ import annotations

import attrs

from specframe import at_least, option


@attrs.frozen
class RecyclingOptions:
    """Options of the drafter ``recycling``; width and nodes have the paper's values."""

    width: int = option(
        8, help="followers remembered for each token", unit="tokens", check=at_least(1)
    )
    max_nodes: int = option(
        81, help="most nodes of a draft, the root included", unit="nodes", check=at_least(2)
    )
    steps: int = option(
        6,
        help="most levels drafted in a round, under any stop policy",
        unit="tokens",
        check=at_least(1),
    )

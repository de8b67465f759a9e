"""How a token is chosen from logits."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor


class Sampler:
    """Choose tokens greedily: the most likely one, the lowest id where several tie."""

    def choose(self, logits: Float[Tensor, "*any vocab"]) -> Int[Tensor, "*any"]:
        """Return one token for each distribution."""
        return logits.argmax(dim=-1)

    def keep(self, kept: list[int]) -> None:
        """Go on with the rows ``kept``; greedy choice holds no state."""

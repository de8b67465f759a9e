"""The distillation loss of Kangaroo (paper section 4.1)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def distillation_loss(
    draft_logits: Float[Tensor, "batch token vocab"],
    target_logits: Float[Tensor, "batch token vocab"],
    mask: Float[Tensor, "batch token"] | None = None,
) -> Float[Tensor, ""]:
    """Return the soft cross-entropy of the draft against the target's full distribution.

    Both predict from the same position; ``mask`` weighs positions (equally without it). Nats per
    position; NaN if the mask is zero everywhere.
    """
    per_token = -(target_logits.softmax(-1) * draft_logits.log_softmax(-1)).sum(-1)
    if mask is None:
        return per_token.mean()
    return (mask * per_token).sum() / mask.sum()

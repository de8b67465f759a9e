"""Stop by the chance that everything drafted so far is right."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from specframe import Rows, Step, StopPolicy
from specframe_joint_confidence._options import JointConfidenceOptions


class JointConfidence(StopPolicy):
    """Stop behind the token with which the product of the draft's confidences is below a bound.

    A level is worth its time only if all levels above it are accepted, and a drafter's top-1
    probability says how likely that is. The token itself stays: dropping it for its own probability
    would bias sampling. The product begins anew with every round, so nothing has to
    follow rows that leave: they leave between rounds.
    """

    reads = frozenset({"confidence"})

    def __init__(self, options: JointConfidenceOptions) -> None:
        """Stop below ``options.least``, and after ``options.steps`` levels anyway."""
        self._least = options.least
        self._steps = options.steps

    def limit(self, rows: Rows) -> list[int]:
        """Return the same limit for all rows."""
        return [self._steps] * len(rows)

    def after(self, step: Step) -> Bool[Tensor, " batch"]:
        """End drafting where the draft is unlikely to be right as a whole."""
        self._joint = self._product(step)
        return self._joint < self._least

    def _product(self, step: Step) -> Float[Tensor, " batch"]:
        """Return each row's product of confidences, this level's included."""
        # A tree's confidence is that of its best path: the product is in it already.
        if step.level == 1 or step.scores is not None:
            return step.confidence
        return self._joint * step.confidence

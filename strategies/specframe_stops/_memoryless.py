"""Stop policies without memory: a fixed length, and fixed bounds on what the drafter shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import Rows, Step, StopPolicy

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor

    from specframe_stops._options import ConfidenceOptions, FixedOptions, SvipOptions


class FixedPolicy(StopPolicy):
    """Draft the same number of levels in every round."""

    def __init__(self, options: FixedOptions) -> None:
        """Draft ``options.steps`` levels."""
        self._steps = options.steps

    def limit(self, rows: Rows) -> list[int]:
        """Return the same limit for all rows."""
        return [self._steps] * len(rows)


class ConfidencePolicy(StopPolicy):
    """Stop after the first token whose top-1 probability is below the threshold.

    Kangaroo, section 3.3; the un-tempered probability, also when sampling (Table 3). The token
    itself stays in the draft: dropping it for its own probability would bias sampling.
    """

    reads = frozenset({"confidence"})

    def __init__(self, options: ConfidenceOptions) -> None:
        """Stop below ``options.threshold``, after ``options.steps`` levels at the latest."""
        self._steps = options.steps
        self._threshold = options.threshold

    def limit(self, rows: Rows) -> list[int]:
        """Return the same limit for all rows."""
        return [self._steps] * len(rows)

    def after(self, step: Step) -> Bool[Tensor, " batch"]:
        """End drafting where the confidence is below the threshold."""
        return step.confidence < self._threshold


class SvipPolicy(StopPolicy):
    """Stop after a token that was drafted from an uncertain distribution.

    SVIP (arXiv 2411.18462): the acceptance rate falls as the root of the draft distribution's
    entropy rises. The token stays in the draft.
    """

    reads = frozenset({"entropy"})

    def __init__(self, options: SvipOptions) -> None:
        """Stop above ``options.bound``, after ``options.steps`` levels at the latest."""
        self._steps = options.steps
        self._factor = options.factor
        self._bound = options.bound

    def limit(self, rows: Rows) -> list[int]:
        """Return the same limit for all rows."""
        return [self._steps] * len(rows)

    def after(self, step: Step) -> Bool[Tensor, " batch"]:
        """End drafting where the root of factor x entropy is above the bound."""
        return (self._factor * step.entropy).sqrt() > self._bound

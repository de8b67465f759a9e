"""What the target says of a draft: its logits, and the states that a drafter asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import attrs
from jaxtyping import Float, Int
from torch import Tensor

from specframe._engine.transfer import Reading
from specframe._round.acceptance import ON_HOST, Acceptance
from specframe._round.draft import Draft
from specframe._round.verdict import Verdict


@attrs.frozen(eq=False)
class Captured:
    """Hold what a drafter's ``needs`` asked for, of a prefill or of one draft's nodes.

    ``taps`` maps a number of layers run (0 = embeddings) to the hidden states after them;
    ``normed`` is the last one after the final norm. Rows of a prefill are padded at the end to the
    longest prompt; its ``logits``, from which the first new token was chosen, are there if the
    caller wants logits.
    """

    taps: Mapping[int, Float[Tensor, "batch token hidden"]] = attrs.field(factory=dict)
    normed: Float[Tensor, "batch token hidden"] | None = None
    logits: Float[Tensor, "batch 1 vocab"] | None = None


@attrs.frozen(eq=False)
class Scores:
    """Hold the target's logits at every node of a draft.

    ``captured`` is what the drafter's ``needs`` asked for there. Reading raises no error of
    specframe's.
    """

    logits: Float[Tensor, "batch node vocab"]
    captured: Captured = attrs.field(factory=Captured)
    _acceptance: Acceptance = ON_HOST

    def accept(self, draft: Draft, choices: Int[Tensor, "batch node"]) -> Verdict:
        """Return the deepest path of the draft on which every node was chosen at its parent.

        The token after it is the choice at its end. ``choices`` is what the target says at each
        node. For a verifier that is ``capturable``, where passes are recorded, the walk runs on the
        device, and the host waits when it reads the verdict.
        """
        return self._acceptance(draft, choices)

    @cached_property
    def top(self) -> tuple[Float[Tensor, "batch node"], Int[Tensor, "batch node"]]:
        """Return the largest logit at each node and its token, the lowest id where several tie."""
        values, tokens = self.logits.max(dim=-1)
        return values, tokens

    @property
    def best(self) -> tuple[Float[Tensor, "batch node"], Int[Tensor, "batch node"]]:
        """Return ``top`` on the host, which waits for the pass."""
        values, tokens = self._reading.wait()
        return values, tokens

    def read_ahead(self) -> None:
        """Begin to read ``best``, before other work goes to the device."""
        _ = self._reading

    @cached_property
    def _reading(self) -> Reading:
        return Reading(*self.top)

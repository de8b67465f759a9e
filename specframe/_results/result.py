"""What a decode returns."""

from __future__ import annotations

import attrs
from jaxtyping import Float
from torch import Tensor

from specframe._results import display
from specframe._results.metrics import Metrics
from specframe._results.row_round import RowRound


@attrs.frozen(eq=False, repr=False)
class Result:
    """Hold what was decoded of one prompt.

    ``token_ids`` are the new tokens, with the EOS or the token that completed a stop string;
    ``text`` is decoded from them, special tokens skipped, cut before the stop string (None without
    a tokenizer); ``finish_reason`` is eos, stop, length, criteria or context, or None where the
    decoding was interrupted; ``rounds`` excludes the prefill; ``logits`` are those that the new
    tokens were chosen from, where they were asked for.
    """

    token_ids: list[int]
    text: str | None
    finish_reason: str | None
    prompt_token_ids: list[int]
    seed: int
    metrics: Metrics
    rounds: list[RowRound]
    logits: Float[Tensor, "new vocab"] | None = None

    def __repr__(self) -> str:
        return display.short(self)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the text, drafted and accepted parts marked."""
        return display.html(self)

"""The contract of verifiers."""

from __future__ import annotations

import abc
from typing import Literal

from specframe._round.draft import Draft
from specframe._round.rows import Rows
from specframe._round.scores import Scores
from specframe._round.verdict import Verdict
from specframe._sampling.sampler import Sampler

Guarantee = Literal["tokens", "distribution", "none"]


class Verifier(abc.ABC):
    """Keep of a draft what the target would have said.

    ``guarantee`` is what the verifier promises for every drafter: "tokens", the same tokens as
    plain decoding; "distribution", the same law; or "none", which is shown wherever its name is.
    ``needs_q``: drafters must hand over the distributions that they drew from. A drafter without q
    is not refused: nobody drew its guesses, their law is DETERMINISTIC, and they count as drawn
    with certainty (a one-hot q). ``samples``: it decodes above temperature 0 too. ``trees``: drafts
    may branch; a verifier without is refused with a drafter of trees. ``capturable``: ``verify`` is
    made of tensor operations of fixed shape alone, such as ``scores.accept``, and reads no value on
    the host. The decoder raises PluginError for another guarantee.
    """

    guarantee: Guarantee
    needs_q: bool = False
    samples: bool = True
    trees: bool = True
    capturable: bool = False

    def promise(self, *, is_greedy: bool) -> Guarantee:
        """Return the guarantee at temperature 0, or above it: "tokens", "distribution" or "none".

        At temperature 0 a distribution is a token.
        """
        return "tokens" if is_greedy and self.guarantee == "distribution" else self.guarantee

    @abc.abstractmethod
    def verify(self, rows: Rows, draft: Draft, scores: Scores, sampler: Sampler) -> Verdict:
        """Return the accepted path and the next token of every row.

        Called once a round. The root is always accepted; a draft of the root alone yields an empty
        path and the target's choice at the root. Padding nodes and nodes that are no candidates
        are never accepted. Stops and budgets are not a verifier's business. ``Target.commit``
        raises PluginError for a malformed verdict; ``draft.require_q`` raises it for a missing q.
        """

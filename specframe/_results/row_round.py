"""One round as one row sees it: what people read, stream and trace."""

from __future__ import annotations

import attrs


@attrs.frozen
class RowRound:
    """Hold one round as one row sees it.

    ``draft_tokens`` leaves the root out, in node order; ``draft_parents`` index into it, -1 for a
    child of the root; ``draft_confidences`` are the top-1 probabilities of the un-tempered
    distributions that they were chosen from; ``target_tokens`` is the target's choice at the root
    and at each node; ``path`` are the committed nodes, the root being 0; ``accepted`` counts them;
    ``finish_reason`` is eos, stop, length, criteria, context, or None; ``seconds`` maps the round's
    parts, of prefill, draft, verify and other, to their time; ``pieces`` splits ``text`` into parts
    and says which were drafted and accepted. A prefill is a round with an empty draft.

    With ``output_probs``, ``draft_p`` and ``draft_q`` are the target's and the drafter's
    probability of each drafted token (q None where the drafter has no distribution), and
    ``committed_p`` the target's of each committed one.
    """

    draft_tokens: list[int]
    draft_parents: list[int]
    draft_confidences: list[float] | None
    target_tokens: list[int]
    accepted: int
    committed: list[int]
    finish_reason: str | None
    seconds: dict[str, float]
    path: tuple[int, ...] = ()
    text: str = ""
    pieces: tuple[tuple[str, bool], ...] = ()
    draft_p: list[float] | None = None
    draft_q: list[float | None] | None = None
    committed_p: list[float] | None = None

"""How a result shows itself: one line of Python, and coloured text in a notebook."""

from __future__ import annotations

from html import escape
from typing import Protocol

from specframe._results.metrics import Metrics
from specframe._results.row_round import RowRound
from specframe._words import counted

Piece = tuple[str, bool]
SHOWN = 40  # characters of the text in a repr
# Marked by a tint and a line, so that it reads on light and dark pages, and without colour.
DRAFTED = "background:rgba(46,160,67,.22);border-bottom:2px solid #2ea043"
TEXT = "white-space:pre-wrap;overflow-wrap:anywhere;font-family:monospace"
NOTE = "opacity:.75;font-size:.9em;margin-top:.4em"


class Shown(Protocol):
    """What of a result is shown."""

    @property
    def token_ids(self) -> list[int]: ...
    @property
    def text(self) -> str | None: ...
    @property
    def finish_reason(self) -> str | None: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def rounds(self) -> list[RowRound]: ...


def short(result: Shown) -> str:
    """Return a line that names the result, with how its text begins."""
    text = "no text" if result.text is None else repr(result.text[:SHOWN])
    more = "..." if result.text is not None and len(result.text) > SHOWN else ""
    return (
        f"<Result: {counted(len(result.token_ids), 'new token')}, "
        f"finish_reason {result.finish_reason!r}, {text}{more}>"
    )


def html(result: Shown) -> str:
    """Return the text as HTML, drafted and accepted parts marked, with a line of statistics."""
    marked = "".join(
        _span(text) if is_drafted else escape(text) for text, is_drafted in parts(result)
    )
    return (
        '<div class="specframe-result">'
        f'<div style="{TEXT}">{marked}</div>'
        f'<div style="{NOTE}">{_span("drafted and accepted")} · {escape(_summary(result))}</div>'
        "</div>"
    )


def parts(result: Shown) -> list[Piece]:
    """Return the text in pieces, each with whether it was drafted and accepted.

    They add up to the text; without a tokenizer, to the token ids with spaces between them.
    """
    if result.text is None:
        return _ids(result)
    pieces = [piece for round in result.rounds for piece in round.pieces]
    followed = "".join(text for text, _ in pieces)
    before = len(result.text) - len(followed)  # the text of the prefill's token, in no round
    if result.finish_reason is None:  # what an interruption held back follows the last piece
        before = max(0, result.text.find(followed))
    rest = result.text[before + len(followed) :]
    whole = [(result.text[:before], False), *pieces, (rest, False)]
    return [piece for piece in whole if piece[0]]


def _ids(result: Shown) -> list[Piece]:
    marks = [
        place < round.accepted for round in result.rounds for place in range(len(round.committed))
    ]
    first = [False] * (len(result.token_ids) - len(marks))
    return [
        (f"{token} ", is_drafted)
        for token, is_drafted in zip(result.token_ids, first + marks, strict=True)
    ]


def _span(text: str) -> str:
    return f'<span title="drafted and accepted" style="{DRAFTED}">{escape(text)}</span>'


def _summary(result: Shown) -> str:
    metrics = result.metrics
    said = [
        f"{counted(metrics.num_new_tokens, 'token')} in {counted(metrics.num_spec_steps, 'round')}"
    ]
    if metrics.mean_acceptance_length is not None:
        said.append(f"{metrics.mean_acceptance_length:.2f} tokens a round")
    if metrics.tokens_per_second is not None:
        said.append(f"{metrics.tokens_per_second:.1f} tokens/s")
    said.append(f"finished by {result.finish_reason or 'interruption'}")
    return ", ".join(said)

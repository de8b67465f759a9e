"""Token ids to text that never changes again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

UNFINISHED = "\ufffd"  # what a byte-level tokenizer gives for a character that is not complete


class TextStream:
    """Turn one row's committed tokens into text, holding back what may still change.

    Held back are incomplete characters and what may become a stop string. The text of all calls,
    with ``finish`` last, adds up to ``text_of`` all tokens.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stops: Sequence[str] = ()) -> None:
        """Begin with no tokens; the stream owns its state."""
        self._decode = decode
        self._stops = stops
        self._tokens: list[int] = []
        self._read = 0  # tokens whose text is final
        self._context = 0  # where decoding starts, so that spaces between words come out right
        self._final = ""
        self._emitted = 0

    def add(self, tokens: Sequence[int]) -> str:
        """Take new tokens; return the text that is certain now."""
        self._tokens.extend(tokens)
        known = self._decode(self._tokens[self._context : self._read])
        text = self._decode(self._tokens[self._context :])
        if not text.endswith(UNFINISHED) and len(text) >= len(known):
            self._final += text[len(known) :]
            self._context, self._read = self._read, len(self._tokens)
        return self._emit(len(self._final) - self._held_back())

    def finish(self) -> str:
        """Return what was held back, cut before the stop string."""
        whole = text_of(self._tokens, self._decode, self._stops)
        emitted = self._final[: self._emitted]
        return whole[len(emitted) :] if whole.startswith(emitted) else ""

    def _emit(self, end: int) -> str:
        end = max(end, self._emitted)
        delta = self._final[self._emitted : end]
        self._emitted = end
        return delta

    def _held_back(self) -> int:
        """Return how much of the end may be, or become, a stop string."""
        found = [self._final.find(stop) for stop in self._stops]
        cuts = [len(self._final) - place for place in found if place >= 0]
        begun = [
            length
            for stop in self._stops
            for length in range(1, len(stop))
            if self._final.endswith(stop[:length])
        ]
        return max(cuts + begun, default=0)


def text_of(
    tokens: Sequence[int], decode: Callable[[Sequence[int]], str], stops: Sequence[str]
) -> str:
    """Return the text of ``tokens``, cut before the first stop string."""
    text = decode(tokens)
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(places)] if places else text

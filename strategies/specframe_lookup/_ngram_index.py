"""Where the last tokens of a text occurred before."""

from __future__ import annotations

from collections.abc import Sequence

Ngram = tuple[int, ...]


class NgramIndex:
    """Remember where each n-gram of a growing text ends.

    An n-gram is entered when a token follows it. So the end of the text never finds itself, and
    what is found has a continuation, which may overlap the end: in ``a a a`` the last two tokens
    occurred before, one place to the left. Reading takes constant time a token. ``places`` maps an
    n-gram to the place of the token after it; the index owns it.
    """

    def __init__(self, shortest: int, longest: int, *, latest: bool) -> None:
        """Index n-grams of these lengths; of several places, keep the latest or the leftmost."""
        self._lengths = range(shortest, longest + 1)
        self._latest = latest
        self.places: dict[Ngram, int] = {}
        self._read = 0

    def read(self, tokens: Sequence[int]) -> None:
        """Index what was appended to the text since the last call."""
        for place in range(max(1, self._read), len(tokens)):
            for length in self._lengths:
                if length > place:
                    break
                ngram = tuple(tokens[place - length : place])
                if self._latest:
                    self.places[ngram] = place
                else:
                    self.places.setdefault(ngram, place)
        self._read = len(tokens)


class Reference:
    """Hold documents to copy from; of several places, the first one is used, as in LLMA."""

    def __init__(self, documents: Sequence[Sequence[int]], shortest: int, longest: int) -> None:
        """Index the documents, each by itself: no n-gram reaches from one into the next."""
        self._documents = documents
        self._places: dict[Ngram, tuple[int, int]] = {}
        for number, document in enumerate(documents):
            index = NgramIndex(shortest, longest, latest=False)
            index.read(document)
            for ngram, place in index.places.items():
                self._places.setdefault(ngram, (number, place))

    def continuation(self, ngram: Ngram, room: int) -> Sequence[int]:
        """Return what follows the first place of ``ngram``, up to its document's end."""
        if ngram not in self._places:
            return ()
        number, place = self._places[ngram]
        return self._documents[number][place : place + room]

"""Prompt lookup decoding (Saxena 2023), and LLMA's reference documents (arXiv 2304.04487)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specframe import Captured, Draft, Drafter, Row, Rows, Sampler, StopPolicy, Target
from specframe_lookup._ngram_index import NgramIndex, Reference
from specframe_lookup._options import LookupOptions
from specframe_lookup._reference_file import read_documents


class LookupDrafter(Drafter):
    """Copy what followed the last tokens where they occurred before, in the text or a reference.

    The longest run of last tokens that occurred before decides; for one length, the text comes
    before the reference. Without an earlier occurrence, nothing is drafted. Each row has its own
    index of n-grams, which grows by the committed tokens alone.
    """

    def __init__(self, options: LookupOptions | None = None) -> None:
        """Keep the options; ``prepare`` reads the reference."""
        self._options = options or LookupOptions()
        self.most_levels = self._options.steps
        self._reference: Reference | None = None
        self._indices: list[NgramIndex] = []

    def prepare(self, target: Target) -> None:
        """Read and index the reference, if one is named."""
        options = self._options
        if options.reference is not None:
            documents = read_documents(options.reference, target)
            self._reference = Reference(documents, options.min_ngram, options.max_ngram)

    def stop_settings(self) -> Mapping[str, object]:
        """Return the number of steps, which bounds every stop policy."""
        return {"steps": self._options.steps}

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        """Index the prompts."""
        options = self._options
        self._indices = [
            NgramIndex(options.min_ngram, options.max_ngram, latest=options.match == "latest")
            for _ in rows.active
        ]
        for row, index in zip(rows.active, self._indices, strict=True):
            index.read(row.tokens)

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Draft a chain per row; the root alone if there is no match or no room."""
        guesses = [
            self._guess(row, index) for row, index in zip(rows.active, self._indices, strict=True)
        ]
        return Draft.chains(rows.roots, guesses)

    def keep(self, kept: list[int]) -> None:
        """Continue with the rows ``kept`` alone."""
        self._indices = [self._indices[place] for place in kept]

    def _guess(self, row: Row, index: NgramIndex) -> list[int]:
        if row.room == 0:
            return []
        index.read(row.tokens)
        for length in range(self._options.max_ngram, self._options.min_ngram - 1, -1):
            ngram = tuple(row.tokens[-length:])
            place = index.places.get(ngram)
            if place is not None:
                return copied(row.tokens, place, row.room)
            if self._reference and (found := self._reference.continuation(ngram, row.room)):
                return list(found)
        return []


def copied(tokens: Sequence[int], place: int, count: int) -> list[int]:
    """Return ``count`` tokens from ``place`` on.

    At the end of the text the copy continues with itself, so that a loop is drafted at full length
    from its latest turn too.
    """
    period = len(tokens) - place
    return [tokens[place + step % period] for step in range(count)]

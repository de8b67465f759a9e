"""The text of each token in its place: committed, drafted, or said by the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specframe._results.streamed_text import UNFINISHED, TextStream

CONTEXT = 8  # tokens before: enough for spaces between words and for characters of many bytes


class TokenTexts:
    """Tell the texts of one row's tokens; owns what has been committed.

    The texts of committed tokens add up to the whole text, special tokens included. The text of a
    token that ends within a character is empty, and the next one has the whole character.
    """

    def __init__(self, tokenizer: Any, prompt: Sequence[int]) -> None:
        """Begin after ``prompt``; ``tokenizer`` is one of transformers'."""
        self._tokenizer = tokenizer
        self._stream = TextStream(self._decode)
        self._last = list(prompt[-CONTEXT:])

    def after(self, path: Sequence[int]) -> str:
        """Return the text of the last token of ``path``, which follows what is committed.

        It is empty if the token ends within a character.
        """
        before = self._decode([*self._last, *path[:-1]])
        whole = self._decode([*self._last, *path])
        for known in (before, before.rstrip(UNFINISHED)):  # the token may end a character
            if whole.startswith(known):
                return whole[len(known) :].rstrip(UNFINISHED)
        return self._decode(path[-1:])

    def commit(self, tokens: Sequence[int], *, is_last: bool) -> list[str]:
        """Take committed tokens and return their texts; the last call adds what was held back."""
        texts = [self._stream.add([token]) for token in tokens]
        if is_last:
            texts[-1] += self._stream.finish()
        self._last = [*self._last, *tokens][-CONTEXT:]
        return texts

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        return text

"""Where a row ends: the target's stops, applied token by token as plain decoding would."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

SLACK_TOKENS = 8  # a stop string may begin inside a token and special tokens decode to nothing


@attrs.frozen(eq=False)
class Stops:
    """Decide after every committed token whether the row is finished.

    ``max_new_tokens`` and ``context`` (most tokens, prompt included) are budgets; ``eos`` are token
    ids; ``decode`` turns token ids into text and is needed for ``strings`` alone; ``criteria`` take
    all token ids of the row and answer True to stop. Raises no error of specframe's; what a
    criterion raises passes.
    """

    max_new_tokens: int
    context: int
    eos: frozenset[int] = frozenset()
    strings: tuple[str, ...] = ()
    criteria: tuple[Callable[[Sequence[int]], bool], ...] = ()
    decode: Callable[[Sequence[int]], str] | None = None

    def budget(self, prompt_length: int, new_tokens: int) -> int:
        """Return how many more tokens the row may commit."""
        return min(self.max_new_tokens - new_tokens, self.context - prompt_length - new_tokens)

    def reason(self, tokens: Sequence[int], prompt_length: int) -> str | None:
        """Return why the row ends with the last of ``tokens``, or None if it continues.

        The first of eos, stop (a string), criteria, length (``max_new_tokens``) and context.
        """
        new_tokens = len(tokens) - prompt_length
        if tokens[-1] in self.eos:
            return "eos"
        if self.strings and self._completes_a_string(tokens[prompt_length:]):
            return "stop"
        if self.criteria and any(criterion(tokens) for criterion in self.criteria):
            return "criteria"
        if new_tokens >= self.max_new_tokens:
            return "length"
        if len(tokens) >= self.context:
            return "context"
        return None

    def _completes_a_string(self, new_tokens: Sequence[int]) -> bool:
        assert self.decode is not None
        longest = max(len(string.encode()) for string in self.strings)
        last = len(self.decode(new_tokens[-1:]).encode())
        window = longest + SLACK_TOKENS
        text = self.decode(new_tokens[-window:])
        # Special tokens decode to nothing: where they fill the window, look further back.
        while window < len(new_tokens) and len(text.encode()) < longest + last:
            window *= 2
            text = self.decode(new_tokens[-window:])
        return any(string in text for string in self.strings)

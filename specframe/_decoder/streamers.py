"""Tokens as transformers' streamers want them: the prompt first, then one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import torch

from specframe._errors import InputError


@attrs.define(eq=False)
class Feed:
    """Hand one row's tokens to a streamer, in the pieces in which ``generate`` hands them over.

    ``streamer`` has the methods ``put`` and ``end`` of transformers' ``BaseStreamer``; only
    committed tokens are put, so that nothing is ever taken back. ``has_prompt``: that was put.
    """

    streamer: Any
    has_prompt: bool = False

    def __attrs_post_init__(self) -> None:
        """Refuse what is no streamer."""
        if not all(callable(getattr(self.streamer, name, None)) for name in ("put", "end")):
            raise InputError(
                "streamer needs the methods put and end, as transformers' TextStreamer has them, "
                f"got {self.streamer!r}"
            )

    def put(self, prompt: Sequence[int], tokens: Sequence[int]) -> None:
        """Put what a round committed; before the first of them the prompt, as one row."""
        if not self.has_prompt:
            self.streamer.put(torch.tensor([list(prompt)]))
            self.has_prompt = True
        for token in tokens:
            self.streamer.put(torch.tensor([token]))

    def end(self) -> None:
        """Say that no token follows."""
        self.streamer.end()


def as_feed(streamer: object) -> Feed | None:
    """Return what hands tokens to ``streamer``; nothing where there is none."""
    return streamer if streamer is None or isinstance(streamer, Feed) else Feed(streamer)

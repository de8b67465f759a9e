"""Tokens as transformers' streamers expect them: the prompt first, then one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import torch

from specframe._errors import InputError


@attrs.define(eq=False)
class Feed:
    """Give one row's tokens to a streamer, in the same pieces as ``generate``.

    ``streamer`` has the methods ``put`` and ``end`` of transformers' ``BaseStreamer``. Only
    committed tokens are put, so nothing is ever taken back. ``has_prompt``: the prompt was put.
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
        """Put what a round committed; before the first round, put the prompt as one row."""
        if not self.has_prompt:
            self.streamer.put(torch.tensor([list(prompt)]))
            self.has_prompt = True
        for token in tokens:
            self.streamer.put(torch.tensor([token]))

    def end(self) -> None:
        """Say that no token follows."""
        self.streamer.end()


def as_feed(streamer: object) -> Feed | None:
    """Return what gives tokens to ``streamer``; None if there is none."""
    return streamer if streamer is None or isinstance(streamer, Feed) else Feed(streamer)

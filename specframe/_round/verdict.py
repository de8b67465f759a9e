"""What a round decides: the verdict on a draft, and the commit that is left of it."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import attrs
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from specframe._engine.transfer import Reading, padded


@attrs.frozen(eq=False)
class Verdict:
    """Hold what a verifier decided: the accepted path and the token after it.

    ``path_lists`` are each row's accepted nodes from level 1 downwards, ``next_tokens`` the tokens
    after them. ``choices`` is what the target says at each node. The tensors hold the same as the
    lists, padded with 0 after ``accepted`` nodes. Nothing is checked here: ``Target.commit`` raises
    PluginError for a malformed verdict.
    """

    is_awaited: ClassVar[bool] = False  # a device still works on it

    path_lists: list[list[int]]
    next_tokens: list[int]
    choices: Int[Tensor, "batch node"]

    @cached_property
    def path(self) -> Int[Tensor, "batch depth"]:
        """Return the accepted nodes; the first ``accepted`` of each row are real."""
        return _padded(self.path_lists)

    @cached_property
    def accepted(self) -> Int[Tensor, " batch"]:
        """Return how many nodes of each row were accepted."""
        return torch.tensor([len(path) for path in self.path_lists])

    @cached_property
    def next_token(self) -> Int[Tensor, " batch"]:
        """Return the token after each row's path."""
        return torch.tensor(self.next_tokens)


class AwaitedVerdict(Verdict):
    """A verdict that a device still works on: its lists are read when they are first asked for.

    ``told [batch, node, 4]`` holds the path, padded with 0, the choices, and in every node of a row
    how many nodes were accepted and the token after them. ``path`` is as wide as the draft, and
    the tensors but ``choices`` are the device's. Only a ``capturable`` verifier meets one; it
    returns it unchanged, since a copy would have to be read.
    """

    is_awaited: ClassVar[bool] = True
    told: Int[Tensor, "batch node 4"]
    _reading: Reading

    def __init__(self, told: Int[Tensor, "batch node 4"]) -> None:
        """Begin to read."""
        object.__setattr__(self, "told", told)  # a verdict is frozen
        object.__setattr__(self, "_reading", Reading(told))

    @property
    def path_lists(self) -> list[list[int]]:
        """Return the accepted nodes, on the host."""
        return self._lists[0]

    @property
    def next_tokens(self) -> list[int]:
        """Return the tokens after them, on the host."""
        return self._lists[1]

    @property
    def choices(self) -> Int[Tensor, "batch node"]:
        """Return what the target says at each node, on the host."""
        return self._reading.wait()[0][..., 1]

    @property
    def path(self) -> Int[Tensor, "batch node"]:
        """Return the accepted nodes, on the device."""
        return self.told[..., 0]

    @property
    def accepted(self) -> Int[Tensor, " batch"]:
        """Return how many nodes of each row were accepted, on the device."""
        return self.told[:, 0, 2]

    @property
    def next_token(self) -> Int[Tensor, " batch"]:
        """Return the token after each row's path, on the device."""
        return self.told[:, 0, 3]

    @cached_property
    def _lists(self) -> tuple[list[list[int]], list[int]]:
        (told,) = self._reading.wait()
        paths, _, accepted, after = told.unbind(dim=2)
        counts = accepted[:, 0].tolist()
        cut = [path[:count] for path, count in zip(paths.tolist(), counts, strict=True)]
        return cut, after[:, 0].tolist()


@attrs.frozen(eq=False)
class Commit:
    """Hold what EOS, stops and budget left of a verdict; nothing in it ever changes.

    ``token_lists`` are each row's new committed tokens, ``path_lists`` the drafted nodes they come
    from. Where a row is finished, the path may have been cut; its reason in ``reasons`` is eos,
    stop, length, criteria or context, else None. ``logits`` are those that the tokens were chosen
    from, where they were asked for. The tensors hold the same as the lists, padded with 0.
    """

    token_lists: list[list[int]]
    path_lists: list[list[int]]
    reasons: list[str | None]
    choices: Int[Tensor, "batch node"]
    logits: Float[Tensor, "batch new vocab"] | None = None

    @cached_property
    def tokens(self) -> Int[Tensor, "batch new"]:
        """Return the new tokens; the first ``counts`` of each row are real."""
        return _padded(self.token_lists)

    @cached_property
    def counts(self) -> Int[Tensor, " batch"]:
        """Return how many tokens each row got."""
        return torch.tensor([len(tokens) for tokens in self.token_lists])

    @cached_property
    def path(self) -> Int[Tensor, "batch depth"]:
        """Return the committed nodes; the first ``accepted`` of each row are real."""
        return _padded(self.path_lists)

    @cached_property
    def accepted(self) -> Int[Tensor, " batch"]:
        """Return how many of each row's tokens were drafted."""
        return torch.tensor([len(path) for path in self.path_lists])

    @cached_property
    def finished(self) -> Bool[Tensor, " batch"]:
        """Return which rows have ended."""
        return torch.tensor([reason is not None for reason in self.reasons])


def _padded(rows: list[list[int]]) -> Tensor:
    return torch.tensor(padded(rows, 0), dtype=torch.long)

"""Stop policies made of stop policies: drafting ends where any of them says so, or where all do."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool
from torch import Tensor

from specframe._contracts.stop_policy import Step, StopPolicy, limits_of
from specframe._engine.transfer import to_device
from specframe._errors import InputError

if TYPE_CHECKING:
    from specframe._round.round import Round
    from specframe._round.rows import Rows


class ComposedPolicy(StopPolicy, abc.ABC):
    """Ask several policies at every level, each of them every time: they may keep state."""

    def __init__(self, parts: Sequence[StopPolicy]) -> None:
        """Take the policies; raises InputError for none, or one that comes twice."""
        is_known = all(isinstance(part, StopPolicy) for part in parts)
        if not parts or not is_known or len(set(map(id, parts))) < len(parts):
            raise InputError(
                f"{type(self).__name__} takes one stop policy or more, each of them once, "
                f"got {parts!r}"
            )
        self.parts = tuple(parts)
        reads = frozenset[str]().union(*(part.reads for part in parts))
        self.reads = reads
        self.learns = any(part.learns for part in parts)
        self.times = any(part.times for part in parts)

    def start(self, rows: Rows) -> None:
        """Begin a decode in every policy."""
        for part in self.parts:
            part.start(rows)

    @abc.abstractmethod
    def limit(self, rows: Rows) -> list[int]:
        """Return the levels of each row, from those of all policies."""

    def limits(self, rows: Rows) -> list[list[int]]:
        """Return every policy's levels of each row."""
        return [limits_of(part, rows) for part in self.parts]

    def observe(self, rows: Rows, round: Round) -> None:
        """Show every policy a finished round."""
        for part in self.parts:
            part.observe(rows, round)

    def keep(self, kept: list[int]) -> None:
        """Keep only the rows ``kept``, in this order."""
        for part in self.parts:
            part.keep(kept)

    def reset(self) -> None:
        """Let every policy forget what outlives a sequence."""
        for part in self.parts:
            part.reset()


class AnyPolicy(ComposedPolicy):
    """End a row's drafting where the first of several policies would: the shortest of their drafts.

    Raises InputError for no policy, one that comes twice or what is none.
    """

    def limit(self, rows: Rows) -> list[int]:
        """Return the fewest levels that any policy allows each row.

        Raises PluginError where one gives no int for each row.
        """
        return [min(row) for row in zip(*self.limits(rows), strict=True)]

    def before(self, step: Step) -> Bool[Tensor, " batch"] | None:
        """Say where any policy refuses this level's token."""
        return _any([part.before(step) for part in self.parts])

    def after(self, step: Step) -> Bool[Tensor, " batch"] | None:
        """Say where any policy ends after this level's token."""
        return _any([part.after(step) for part in self.parts])


class AllPolicy(ComposedPolicy):
    """End a row's drafting where the last of several policies would: the longest of their drafts.

    A policy that has said stop once, or whose limit is reached, has said so for the whole round.
    The draft continues, so it is still asked. Raises InputError for no policy, one that comes twice
    or what is none.
    """

    def __init__(self, parts: Sequence[StopPolicy]) -> None:
        """Take the policies; raises InputError as above. No policy has ended before a round."""
        super().__init__(parts)
        self._limits: list[list[int]] = []
        self._ended: list[Tensor | None] = []

    def limit(self, rows: Rows) -> list[int]:
        """Return the most levels that any policy allows each row, and begin a round.

        Raises PluginError where one gives no int for each row.
        """
        self._limits = self.limits(rows)
        self._ended = [None] * len(self.parts)
        return [max(row) for row in zip(*self._limits, strict=True)]

    def before(self, step: Step) -> Bool[Tensor, " batch"] | None:
        """Say where every policy has ended, by refusing this level's token or earlier."""
        if step.level == 1:  # of this round's second drafter, maybe
            self._ended = [None] * len(self.parts)
        return self._all([part.before(step) for part in self.parts], step, step.level - 1)

    def after(self, step: Step) -> Bool[Tensor, " batch"] | None:
        """Say where every policy has ended after this level's token."""
        return self._all([part.after(step) for part in self.parts], step, step.level)

    def _all(self, answers: Sequence[Tensor | None], step: Step, drafted: int) -> Tensor:
        """Note who has ended now that ``drafted`` levels are; return where everyone has."""
        for place, said in enumerate(answers):
            reached = [limit <= drafted for limit in self._limits[place]]
            ended = to_device(reached, step.active.device)
            for more in (said, self._ended[place]):
                ended = ended if more is None else ended | more
            self._ended[place] = ended
        return torch.stack([ended for ended in self._ended if ended is not None]).all(dim=0)


def _any(answers: Sequence[Tensor | None]) -> Tensor | None:
    said = [answer for answer in answers if answer is not None]
    return torch.stack(said).any(dim=0) if said else None

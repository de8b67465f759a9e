"""The rows of a batch: their prompts, committed tokens and limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import attrs
from jaxtyping import Float, Int
from torch import Tensor

from specframe._deprecation import DEPRECATED
from specframe._errors import PluginError
from specframe._round.stops import Stops

Processor = Callable[[Int[Tensor, "1 token"], Float[Tensor, "1 vocab"]], Float[Tensor, "1 vocab"]]
"""Changes one row's logits, given all tokens before them, as transformers' processors do."""


class CommittedTokens(list[int]):
    """Hold a row's tokens as a list that refuses to be written to.

    A plug-in that changed committed tokens would have the target continue another text. A slice or
    a copy is a list like any other.
    """

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise PluginError("row.tokens is the target's: copy it before changing it")

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __reduce_ex__(self, _: object) -> tuple[Any, ...]:
        """Copy and pickle as a list, which may be changed."""
        return list, (list(self),)


def _refuse_others(*_: object) -> NoReturn:
    raise PluginError("row.tokens is the target's: nothing else may be put in its place")


@attrs.define(eq=False)
class Row:
    """Hold one sequence; only the loop's target commits tokens to it.

    ``index`` is its place in the caller's list, ``tokens`` the prompt and all committed tokens
    (writing to them is a PluginError), ``room`` the most levels that may be drafted in this round,
    ``finish_reason`` eos, stop, length, criteria, context, or None while the row continues;
    ``processors`` change the logits of this row alone, after the sampler's own.
    """

    index: int
    prompt_length: int
    tokens: list[int] = attrs.field(converter=CommittedTokens, on_setattr=_refuse_others)
    stops: Stops
    seed: int = 0
    room: int = 0
    finish_reason: str | None = None
    processors: tuple[Processor, ...] = ()

    @property
    def root(self) -> int:
        """Return the last committed token, which is in no cache yet."""
        return self.tokens[-1]

    @property
    def count(self) -> int:
        """Return how many tokens were committed after the prompt; it keys the noise of a round."""
        return len(self.tokens) - self.prompt_length

    @property
    def new_tokens(self) -> list[int]:
        """Return the tokens committed after the prompt."""
        return self.tokens[self.prompt_length :]

    @property
    def budget(self) -> int:
        """Return how many more tokens may be committed."""
        return self.stops.budget(self.prompt_length, self.count)

    def commit(self, tokens: list[int]) -> list[int]:
        """Append ``tokens`` one by one until the row is finished; return those that were taken.

        Called by the target. What a stopping criterion raises passes.
        """
        taken = 0
        for token in tokens:
            list.append(self.tokens, token)
            taken += 1
            self.finish_reason = self.stops.reason(self.tokens, self.prompt_length)
            if self.finish_reason is not None:
                break
        return tokens[:taken]


class Rows:
    """Hold the rows that are still being decoded, in batch order; rows only ever leave.

    ``active`` are these rows; the lists below are read from them. Reading raises nothing.
    """

    def __init__(self, rows: list[Row]) -> None:
        """Start with all rows of the batch."""
        self.active = rows

    def __len__(self) -> int:
        """Return the size of the batch."""
        return len(self.active)

    @property
    def indices(self) -> list[int]:
        """Return each active row's place in the caller's list."""
        return [row.index for row in self.active]

    @property
    def roots(self) -> list[int]:
        """Return each row's root."""
        return [row.root for row in self.active]

    @property
    def lengths(self) -> list[int]:
        """Return each row's number of committed tokens, the root included."""
        return [len(row.tokens) for row in self.active]

    @property
    def rooms(self) -> list[int]:
        """Return the most levels that each row may draft in this round."""
        return [row.room for row in self.active]

    def leave(self, *parts: object) -> bool:
        """Do what ``specframe.leave`` does, which replaces it; raises PluginError alike."""
        return bool(DEPRECATED["specframe.Rows.leave()"].call(self, *parts))

"""The caller's choice of sampling, and the warping of logits that follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import attrs
import torch
from jaxtyping import Float
from torch import Tensor

from specframe._engine.transfer import to_device
from specframe._errors import InputError
from specframe._round.rows import Processor

# Processors of transformers whose answers depend on earlier calls.
STATEFUL = frozenset(
    {
        "DiaEOSDelayPatternLogitsProcessor",
        "SynthIDTextWatermarkLogitsProcessor",
        "UnbatchedClassifierFreeGuidanceLogitsProcessor",
    }
)


def _ranged(is_good: Callable[[Any], bool], expected: str) -> Any:
    """Return a validator that raises InputError, naming the argument, unless ``is_good``."""

    def validate(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is None and attribute.default is None:
            return
        if not isinstance(value, int | float) or isinstance(value, bool) or not is_good(value):
            raise InputError(f"{attribute.name} must be {expected}, got {value!r}")

    return validate


@attrs.frozen
class Sampling:
    """Say how tokens are chosen; the meaning and the order of everything are transformers'.

    ``temperature`` 0 is greedy, and then the filters ``top_k``, ``top_p`` and ``min_p`` do nothing;
    None switches one off. ``processors`` are pure functions of (prefix, scores): each is called for
    one row and one node at a time, with the prompt and all tokens that lead to the node. Raises
    InputError for a number out of range; what a processor raises passes.
    """

    temperature: float = attrs.field(
        default=0.0,
        validator=_ranged(lambda value: 0 <= value < math.inf, "a number >= 0 (0 is greedy)"),
    )
    top_k: int | None = attrs.field(
        default=None,
        validator=_ranged(
            lambda value: isinstance(value, int) and value >= 0, "a whole number >= 1, or None"
        ),
    )
    top_p: float | None = attrs.field(
        default=None,
        validator=_ranged(lambda value: 0 < value <= 1, "above 0 and at most 1, or None"),
    )
    min_p: float | None = attrs.field(
        default=None,
        validator=_ranged(lambda value: 0 <= value <= 1, "a number from 0 to 1, or None"),
    )
    repetition_penalty: float | None = attrs.field(
        default=None,
        validator=_ranged(lambda value: 0 < value < math.inf, "a number above 0, or None"),
    )
    processors: tuple[Processor, ...] = ()

    @property
    def is_greedy(self) -> bool:
        """Tell whether the most likely token is chosen, without any noise."""
        return self.temperature == 0

    @property
    def reads_prefix(self) -> bool:
        """Tell whether the tokens before them change logits."""
        return bool(self.by_prefix)

    @cached_property
    def by_prefix(self) -> tuple[Processor, ...]:
        """Return what looks at the prefix, in transformers' order: the penalty comes first.

        A processor of the penalty's own class replaces it, as it does there.
        """
        penalty = self.repetition_penalty
        if penalty is None or penalty == 1:
            return self.processors
        from transformers import RepetitionPenaltyLogitsProcessor as Penalty  # noqa: PLC0415

        first = next((one for one in self.processors if type(one) is Penalty), Penalty(penalty))
        return (first, *(one for one in self.processors if one is not first))

    @cached_property
    def filters(self) -> tuple[Callable[[Any, Any], Tensor], ...]:
        """Return transformers' warpers that follow the temperature, in its order."""
        wanted = {
            "TopKLogitsWarper": self.top_k or None,
            "TopPLogitsWarper": None if self.top_p == 1 else self.top_p,
            "MinPLogitsWarper": self.min_p or None,
        }
        if self.is_greedy or all(value is None for value in wanted.values()):
            return ()
        import transformers  # noqa: PLC0415 (if needed)

        return tuple(
            getattr(transformers, name)(value)
            for name, value in wanted.items()
            if value is not None
        )

    def process(
        self,
        prefix: Sequence[int],
        logits: Float[Tensor, " vocab"],
        then: Sequence[Processor] = (),
    ) -> Float[Tensor, " vocab"]:
        """Return the logits of the token after ``prefix``, changed by penalty and processors.

        The processors of ``then`` come last.
        """
        ids = to_device([list(prefix)], logits.device)
        scores = logits[None].clone()  # a processor may write into what it is given
        for processor in (*self.by_prefix, *then):
            scores = processor(ids, scores)
        return scores[0]

    def warp(self, logits: Float[Tensor, "*any vocab"]) -> Float[Tensor, "*any vocab"]:
        """Return processed logits after temperature and filters; greedy ones unchanged."""
        if self.is_greedy:
            return logits
        rows = (logits / self.temperature).reshape(-1, logits.shape[-1])
        for narrow in self.filters:
            rows = narrow(None, rows)
        return rows.view(logits.shape)


def widened(logits: Tensor) -> Tensor:
    """Return logits in float32 at least, as transformers does before it samples."""
    return logits if logits.dtype == torch.float64 else logits.float()


def processors_of(given: Any) -> tuple[Processor, ...]:
    """Return logits processors, or raise InputError for one that cannot be asked out of order.

    ``given`` is None, one of them, or a list; lists may hold lists.
    """
    if given is None:
        return ()
    if isinstance(given, list | tuple):
        return tuple(processor for part in given for processor in processors_of(part))
    if {one.__name__ for one in type(given).__mro__} & STATEFUL:
        raise InputError(
            f"logits processor {type(given).__name__} remembers earlier calls, so it cannot be "
            "asked about tokens that may be taken back: leave it out"
        )
    if not callable(given):
        raise InputError(f"logits_processor takes functions of (ids, scores), got {given!r}")
    return (given,)

"""The check of verifiers that say they read nothing on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import torch
from hypothesis import strategies as st
from torch import Tensor

from specframe import Draft, Sampler, Sampling, Scores, Stops
from specframe._round.acceptance import Acceptance, accept_on_device, follow
from specframe.testing._check_result import Broken, NotApplicable
from specframe.testing._checks_verifier import VOCAB, VerifierSubject, words_of
from specframe.testing._hypothesis_strategies import draft_trees
from specframe.testing._oracle import CONTEXT
from specframe.testing._rows import make_rows
from specframe.testing._strategy_under_test import for_all

READS = {"tolist", "item", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__"}
READS |= {"equal", "allclose", "nonzero", "argwhere", "masked_select", "unique"}


class HostReadError(Exception):
    """Say by what a value was read."""


class Unread(Tensor):
    """Hold values as if a device had not computed them yet; what is made of them stays unread."""

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute, but for what a host would have to wait for."""
        name = function.__name__
        if name in READS or (name == "__getitem__" and _has_mask(args[1])):
            raise HostReadError(name)
        return super().__torch_function__(function, types, args, kwargs or {})  # type: ignore[no-untyped-call]


def _has_mask(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, Tensor) and part.dtype == torch.bool for part in parts)


def check_capturable_reads_nothing(subject: VerifierSubject) -> None:
    """A verifier that declares 'capturable' must read no value on the host."""
    if not subject.verifier.capturable:
        raise NotApplicable("the verifier does not declare 'capturable'")

    @for_all(subject, draft_trees(VOCAB), st.sampled_from([0.0, 1.0]))
    def holds(draft: Draft, temperature: float) -> None:
        if temperature and not subject.verifier.samples:
            return
        rows = make_rows([[int(draft.tokens[0, 0])]], Stops(9, CONTEXT), 0)
        drafted = attrs.evolve(draft, tokens=draft.tokens.as_subclass(Unread))
        logits = torch.zeros(1, draft.tokens.shape[1], VOCAB, dtype=torch.float64)
        way = Acceptance(partial(accept_on_device, follow, logits.device), waits=False)
        scores = Scores(logits.as_subclass(Unread), acceptance=way)
        sampler = Sampler(Sampling(temperature=temperature), wants_q=subject.verifier.needs_q)
        try:
            subject.verifier.verify(rows, drafted, scores, sampler)
        except HostReadError as read:
            raise Broken(f"{words_of(draft)} it reads what a device works on, by {read}") from None

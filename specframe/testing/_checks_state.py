"""Checks of what a drafter keeps and touches."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from specframe import Drafter, FirstDrafter, LongestDrafter, RowRound, Sampling, Stops
from specframe._results.metrics import measure
from specframe.testing._check_result import Broken
from specframe.testing._correct_drafters import Sometimes
from specframe.testing._hypothesis_strategies import oracles, token_sequences
from specframe.testing._manual_decoding import accept_half
from specframe.testing._oracle import CONTEXT, Oracle
from specframe.testing._state_machine import check_machine
from specframe.testing._strategy_under_test import Session, Subject
from specframe.testing._tiny_model import TinyModel

BUDGET = 10


def check_rollback(subject: Subject) -> None:
    """After any accepts and roll backs, drafts must be those of a fresh start on the same text."""
    subject.needs_no_past()
    check_machine(subject, most_rows=1)


def check_rows_that_leave(subject: Subject) -> None:
    """When rows leave a batch, the drafts of the others must stay theirs."""
    subject.needs("batch")
    subject.needs_no_past()
    check_machine(subject, most_rows=3)


def check_handing_over(subject: Subject) -> None:
    """After another drafter's drafts, drafts must be those of a fresh start on the same text."""
    subject.needs_no_past()
    most_rows = 2 if subject.capabilities.batch else 1
    for compose in (_after, _against):
        together = attrs.evolve(
            subject,
            make=partial(compose, subject.make),
            max_examples=max(1, subject.max_examples // 4),
        )
        try:
            check_machine(together, most_rows=most_rows)
        except Broken as error:
            raise Broken(f"composed with another drafter, {error}") from error
        finally:
            subject.examples += together.examples


def _after(make: Callable[[], Drafter]) -> FirstDrafter:
    return FirstDrafter([Sometimes(), make()])


def _against(make: Callable[[], Drafter]) -> LongestDrafter:
    return LongestDrafter([make(), Sometimes()])


def check_reset_forgets(subject: Subject) -> None:
    """After reset, a drafter must draft as a new one does."""
    subject.needs_no_clock()

    @subject.for_all(oracles(), token_sequences(), token_sequences())
    def holds(oracle: Oracle, first: list[int], second: list[int]) -> None:
        used = _decode(subject, oracle, first).drafter
        used.reset()
        again = _drafts(_decode(subject, oracle, second, drafter=used))
        new = _drafts(_decode(subject, oracle, second))
        if again != new:
            raise Broken(
                f"after decoding {first} on {oracle!r} and a reset it drafts {again} after "
                f"{second}; a new drafter drafts {new}"
            )


def check_seeded_repeatability(subject: Subject) -> None:
    """The same prompt and seed must give the same drafts again."""
    subject.needs_no_clock()

    @subject.for_all(oracles(), token_sequences(), st.sampled_from([0.0, 1.0]))
    def holds(oracle: Oracle, prompt: list[int], temperature: float) -> None:
        runs = [
            _drafts(_decode(subject, oracle, prompt, temperature=temperature)) for _ in range(3)
        ]
        for other in runs[1:]:
            if other != runs[0]:
                raise Broken(
                    f"on {oracle!r} after {prompt} at temperature {temperature} it drafted "
                    f"{runs[0]} and then {other}"
                )


def check_target_is_left_alone(subject: Subject) -> None:
    """Weights, committed tokens and their cache must not be written to."""

    @subject.for_all(token_sequences())
    def holds(prompt: list[int]) -> None:
        model = TinyModel()
        weights = [weight.clone() for weight in model.weights]
        session = subject.open(model, [prompt], Stops(BUDGET, CONTEXT)).begin()
        while True:
            before = _committed(session)
            draft = session.propose()
            _expect_untouched(session, before, "proposing")
            if draft is None:
                break
            accept_half(session, draft)
        for weight, old in zip(model.weights, weights, strict=True):
            if not torch.equal(weight, old):
                raise Broken(f"after decoding {prompt} the target's weights have changed")


def check_random_state_is_left_alone(subject: Subject) -> None:
    """The global random numbers of torch, random and numpy must not be drawn or seeded.

    ``prepare`` may: modules that it makes are initialised with them.
    """

    @subject.for_all(token_sequences(), st.sampled_from([0.0, 1.0]))
    def holds(prompt: list[int], temperature: float) -> None:
        session = _open(subject, TinyModel(), prompt, None, temperature)
        before = _random_states()
        session.run()
        moved = [name for name, state in _random_states().items() if state != before[name]]
        if moved:
            raise Broken(
                f"decoding {prompt} at temperature {temperature} changed the global state of "
                f"{' and '.join(moved)}: use the sampler, or a generator of your own"
            )


def check_metrics_add_up(subject: Subject) -> None:
    """What the rounds report must add up to the tokens that were committed."""

    @subject.for_all(oracles(), token_sequences(), st.integers(1, 12))
    def holds(oracle: Oracle, prompt: list[int], budget: int) -> None:
        session = subject.open(oracle, [prompt], Stops(budget, CONTEXT)).run()
        (row,), (rounds,) = session.everyone, session.rounds
        told = [token for round in rounds for token in round.committed]
        if told != row.new_tokens:
            raise Broken(
                f"after {prompt} the rounds report {told} and {row.new_tokens} was committed"
            )
        _expect_sums(prompt, rounds)


def _expect_sums(prompt: list[int], rounds: list[RowRound]) -> None:
    new = sum(len(round.committed) for round in rounds)
    numbers = measure(len(prompt), new, rounds[1:], rounds[0].seconds)
    histogram = numbers.acceptance_histogram
    weighted = sum(count * accepted for accepted, count in enumerate(histogram))
    claims = {
        "the histogram sums to the rounds": sum(histogram) == numbers.num_spec_steps,
        "it weighs what was accepted": weighted == numbers.num_accepted_draft_tokens,
        "no more is accepted than drafted": weighted <= numbers.num_draft_tokens,
        "a round commits at most one token more than it accepts": all(
            0 <= len(round.committed) - round.accepted <= 1 for round in rounds
        ),
        "confidences are probabilities": all(
            0 <= value <= 1 + 1e-6 for round in rounds for value in round.draft_confidences or ()
        ),
    }
    for claim, holds in claims.items():
        if not holds:
            raise Broken(f"after {prompt} it does not hold that {claim}: {numbers!r}")


def _decode(
    subject: Subject,
    oracle: Oracle,
    prompt: list[int],
    *,
    drafter: Drafter | None = None,
    temperature: float = 0.0,
) -> Session:
    return _open(subject, oracle, prompt, drafter, temperature).run()


def _open(
    subject: Subject, oracle: Oracle, prompt: list[int], drafter: Drafter | None, temperature: float
) -> Session:
    verifier = "rejection" if temperature else "greedy"
    sampling = Sampling(temperature=temperature)
    return subject.open(
        oracle,
        [prompt],
        Stops(BUDGET, CONTEXT),
        sampling=sampling,
        verifier=verifier,
        drafter=drafter,
    )


def _drafts(session: Session) -> list[list[int]]:
    return [round.draft_tokens for round in session.rounds[0][1:]]


def _committed(session: Session) -> tuple[list[list[int]], list[Tensor]]:
    """Return the rows' tokens, and the keys and values of those that are in the cache."""
    engine: Any = session.target.engine
    slots = [list(range(len(row.tokens) - 1)) for row in session.rows.active]
    states = [
        part.clone()
        for layer in range(engine.num_layers)
        for place, held in enumerate(slots)
        for part in engine.cache.read(layer, place, held)
    ]
    return [list(row.tokens) for row in session.rows.active], states


def _expect_untouched(
    session: Session, before: tuple[list[list[int]], list[Tensor]], doing: str
) -> None:
    if not session.rows.active:
        return
    tokens, states = _committed(session)
    if tokens != before[0]:
        raise Broken(f"{doing} turned the committed tokens {before[0]} into {tokens}")
    if not all(torch.equal(ours, old) for ours, old in zip(states, before[1], strict=True)):
        raise Broken(
            f"after {tokens} {doing} changed the target's keys and values of committed tokens: "
            "write to its cache through a TreeBuilder alone"
        )


def _random_states() -> dict[str, object]:
    legacy: Any = np.random.get_state(legacy=True)  # noqa: NPY002 (it is what is watched)
    return {
        "torch": torch.get_rng_state().tolist(),
        "random": random.getstate(),
        "numpy": (legacy[0], legacy[1].tolist(), *legacy[2:]),
    }

"""Checks of distributions: declared q against drawn tokens, and the output under rejection."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence

import torch

from specframe import Draft, Law, Sampling, Stops
from specframe.testing._check_result import Broken
from specframe.testing._g_test import ALPHA, g_test
from specframe.testing._manual_decoding import drafts_of
from specframe.testing._oracle import CONTEXT, Oracle
from specframe.testing._strategy_under_test import Subject
from specframe.testing._table_target import Table
from specframe.testing._tiny_model import TinyModel

DRAWS = 3000
BINS = 16
ROWS = 50  # drafted together, where the drafter can
DECODES = 2500
NEW_TOKENS = 4
SAMPLING = Sampling(temperature=0.8)
ORACLE = Table(layers=2, vocab=4, steps=97, width=8)
PROMPT = [0, 1]


def check_declared_q_matches_samples(subject: Subject) -> None:
    """Drawn tokens must follow the q that is declared for them."""
    subject.needs("sampling")
    dice = random.Random(subject.seed)  # noqa: S311 (no secret)
    places: list[float] = []
    oracles: list[Oracle] = [TinyModel(), ORACLE]
    for oracle in itertools.cycle(oracles):
        before = len(places)
        places += _places(subject, oracle, dice)
        if len(places) == before:
            raise Broken(f"on {oracle!r} at temperature {SAMPLING.temperature} it drew no token")
        if len(places) >= DRAWS:
            break
    counts = Counter(int(place * BINS) for place in places)
    bins = [counts[number] for number in range(BINS)]
    chance = g_test(bins, [1 / BINS] * BINS)
    if chance < ALPHA:
        raise Broken(
            f"of {len(places)} drawn tokens, laid out by their declared q from the likeliest to "
            f"the least likely, the sixteenths hold {bins} and should hold as many each "
            f"(G-test, p = {chance:.1e})"
        )


def _places(subject: Subject, oracle: Oracle, dice: random.Random) -> Iterator[float]:
    """Yield for each drawn token where it lies in its q: uniform between 0 and 1 if q is true.

    Its place is the mass of all likelier tokens plus a random share of its own (Rosenblatt). Early
    stops, wherever they look, cannot disturb that unless they drop a token for its own sake.
    """
    count = ROWS if subject.capabilities.batch else 1
    prompts = [[dice.randrange(4) for _ in range(dice.randint(1, 5))] for _ in range(count)]
    seeds = [dice.randrange(1 << 32) for _ in prompts]
    session = subject.open(
        oracle,
        prompts,
        Stops(8, CONTEXT),
        sampling=SAMPLING,
        verifier="rejection",
        seeds=seeds,
    ).begin()
    subject.examples += count
    for draft in drafts_of(session):
        for row in range(draft.tokens.shape[0]):  # rows that drafted more have left earlier
            yield from _places_of_row(draft, row, dice)


def _places_of_row(draft: Draft, row: int, dice: random.Random) -> Iterator[float]:
    if draft.laws[row] is Law.DETERMINISTIC:
        return
    tokens, parents = draft.token_lists[row], draft.parent_lists[row]
    for node in range(1, len(tokens)):
        q = draft.q(row, parents[node])
        if q is None:
            raise Broken(f"node {parents[node]} of a draft has drawn children and no q")
        left = q.double().clone()
        if draft.laws[row] is Law.WITHOUT_REPLACEMENT:
            earlier = [tokens[i] for i in range(1, node) if parents[i] == parents[node]]
            left[earlier] = 0
            left /= left.sum()
        own = float(left[tokens[node]])
        likelier = float(left[left > own].sum())
        ties = (left == own).nonzero()[:, 0].tolist().index(tokens[node])
        yield min(likelier + (ties + dice.random()) * own, 1 - 1e-12)


def check_rejection_keeps_the_distribution(subject: Subject) -> None:
    """Under verifier 'rejection' the output must follow the target's distribution."""
    outputs = _outputs(subject)
    law = exact_law(ORACLE, PROMPT, SAMPLING, NEW_TOKENS)
    spans = [(0, 2), (1, 3), (2, 4), (0, NEW_TOKENS)]
    for first, end in spans:
        counts = Counter(output[first:end] for output in outputs)
        masses: dict[tuple[int, ...], float] = {}
        for tokens, mass in law.items():
            masses[tokens[first:end]] = masses.get(tokens[first:end], 0.0) + mass
        chance = g_test([counts[cell] for cell in masses], list(masses.values()))
        if chance < ALPHA:
            _refuse(counts, masses, f"new tokens {first + 1} to {end}", chance)


def _refuse(
    counts: Counter[tuple[int, ...]],
    masses: dict[tuple[int, ...], float],
    what: str,
    chance: float,
) -> None:
    total = counts.total()
    worst = max(masses, key=lambda cell: abs(counts[cell] - masses[cell] * total))
    raise Broken(
        f"of {total} outputs after {PROMPT}, {counts[worst]} have {list(worst)} as {what}, and "
        f"{masses[worst] * total:.0f} should (G-test, p = {chance:.1e})"
    )


def _outputs(subject: Subject) -> list[tuple[int, ...]]:
    size = ROWS if subject.capabilities.batch else 1
    outputs = []
    for start in range(0, DECODES, size):
        session = subject.open(
            ORACLE,
            [PROMPT] * size,
            Stops(NEW_TOKENS, CONTEXT),
            sampling=SAMPLING,
            verifier="rejection",
            seeds=[subject.seed * DECODES + start + place for place in range(size)],
        ).run()
        outputs += [tuple(row.new_tokens) for row in session.everyone]
        subject.examples += size
    return outputs


def exact_law(
    oracle: Oracle, prompt: Sequence[int], sampling: Sampling, count: int
) -> dict[tuple[int, ...], float]:
    """Return the probability of every continuation of ``count`` tokens."""
    law: dict[tuple[int, ...], float] = {(): 1.0}
    for _ in range(count):
        law = {
            (*tokens, token): mass * chance
            for tokens, mass in law.items()
            for token, chance in enumerate(_law_after(oracle, [*prompt, *tokens], sampling))
        }
    assert math.isclose(sum(law.values()), 1.0)
    return law


def _law_after(oracle: Oracle, prefix: list[int], sampling: Sampling) -> list[float]:
    logits = torch.tensor([oracle.logits(prefix)], dtype=torch.float64)
    law: list[float] = sampling.warp(logits)[0].softmax(dim=-1).tolist()
    return law

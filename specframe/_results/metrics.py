"""What a decode did and how fast, named as the field names it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from specframe._engine.tree_shape import depths_of
from specframe._results.row_round import RowRound

TIME_PARTS = ("prefill", "draft", "verify", "other")


@attrs.frozen
class Metrics:
    """Hold the numbers of one result; None is 0/0.

    New tokens = 1 (the prefill's) + the sum of acceptance lengths. ``acceptance_histogram[k]`` is
    how many rounds accepted k drafts; the mean acceptance length counts the bonus token.
    ``acceptance_by_position`` has dictionaries with the keys position (from 1), reached and
    accepted (counts of rounds). For trees, ``num_draft_tokens`` counts nodes and a position is a
    level. ``seconds`` has the keys total, prefill, draft, verify and other; a row of a batch shares
    the seconds of its rounds with its neighbours. The last three are known only where plain
    decoding ran too.
    """

    num_prompt_tokens: int
    num_new_tokens: int
    num_spec_steps: int
    num_draft_tokens: int
    num_accepted_draft_tokens: int
    draft_acceptance_rate: float | None
    mean_acceptance_length: float | None
    acceptance_histogram: list[int]
    acceptance_by_position: list[dict[str, int]]
    seconds: dict[str, float]
    tokens_per_second: float | None
    tokens_per_second_with_prefill: float | None
    speedup: float | None = None
    identical: bool | None = None
    break_even_acceptance_length: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers; the keys are the names of the fields.

        speedup, identical and break_even_acceptance_length are left out where nothing was compared.
        """
        numbers = {field.name: getattr(self, field.name) for field in attrs.fields(Metrics)}
        if self.identical is None:
            for name in ("speedup", "identical", "break_even_acceptance_length"):
                del numbers[name]
        return numbers


def measure(
    num_prompt_tokens: int,
    num_new_tokens: int,
    rounds: Sequence[RowRound],
    prefill: Mapping[str, float],
) -> Metrics:
    """Add up a row's rounds; ``prefill`` maps the parts of its prefill to seconds."""
    accepted = [round.accepted for round in rounds]
    drafted = sum(len(round.draft_tokens) for round in rounds)
    seconds = {part: sum(round.seconds.get(part, 0.0) for round in rounds) for part in TIME_PARTS}
    for part, spent in prefill.items():
        seconds["prefill" if part == "prefill" else "other"] += spent
    total = sum(seconds.values())
    committed = sum(len(round.committed) for round in rounds)
    return Metrics(
        num_prompt_tokens=num_prompt_tokens,
        num_new_tokens=num_new_tokens,
        num_spec_steps=len(rounds),
        num_draft_tokens=drafted,
        num_accepted_draft_tokens=sum(accepted),
        draft_acceptance_rate=ratio(sum(accepted), drafted),
        mean_acceptance_length=ratio(committed, len(rounds)),
        acceptance_histogram=_histogram(accepted),
        acceptance_by_position=_by_position(rounds),
        seconds={"total": total, **seconds},
        tokens_per_second=ratio(committed, total - seconds["prefill"]),
        tokens_per_second_with_prefill=ratio(num_new_tokens, total),
    )


def ratio(part: float, whole: float) -> float | None:
    """Return the quotient, or None for anything over nothing."""
    return part / whole if whole else None


def _histogram(accepted: Sequence[int]) -> list[int]:
    counts = Counter(accepted)
    return [counts[k] for k in range(max(accepted, default=-1) + 1)]


def _by_position(rounds: Sequence[RowRound]) -> list[dict[str, int]]:
    """Count, level by level, the rounds that drafted so deep and those that accepted it.

    A level is reached where the one above it was accepted and the draft has a node there.
    """
    reached: Counter[int] = Counter()
    accepted: Counter[int] = Counter()
    for round in rounds:
        deepest = max(depths_of([-1, *(parent + 1 for parent in round.draft_parents)]))
        for level in range(1, min(deepest, round.accepted + 1) + 1):
            reached[level] += 1
        for level in range(1, round.accepted + 1):
            accepted[level] += 1
    return [
        {"position": level, "reached": reached[level], "accepted": accepted[level]}
        for level in sorted(reached)
    ]

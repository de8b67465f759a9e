"""One prompt decoded both ways, and the rows of logits that may have to be judged."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from specframe._judging.certificate import LogitRow, Spot, deviation
from specframe._judging.findings import Finding
from specframe._results.result import Result
from specframe._sampling.warping import Sampling
from specframe._words import first_difference


@attrs.frozen(eq=False)
class ComparedRow:
    """Hold what both ways of decoding said after one prefix."""

    position: int
    plain: LogitRow
    fast: LogitRow
    deviation: float


@attrs.frozen(eq=False)
class Pair:
    """Hold a prompt decoded both ways; of the logits, only those that may have to be judged.

    ``agreed`` tokens are the same on both sides, with ``deviations`` of their logits; ``furthest``
    is the row of them that deviates most, ``differing`` the row of the first token that differs,
    ``largest`` the largest logit. ``broken`` is a bug that needs no judgement.
    """

    prompt_token_ids: list[int]
    plain_token_ids: list[int]
    token_ids: list[int]
    agreed: int
    deviations: list[float]
    largest: float
    furthest: ComparedRow | None
    differing: ComparedRow | None
    broken: Finding | None

    @property
    def compared(self) -> int:
        """Return how many tokens were chosen after equal prefixes."""
        return self.agreed + (self.differing is not None)

    @property
    def is_identical(self) -> bool:
        """Tell whether no token differs and nothing is broken."""
        return self.differing is None and self.broken is None


def pair_up(fast: Result, plain: Result, sampling: Sampling) -> Pair:
    """Compare two results of the same prompt and seed, both with their logits."""
    differs_at = first_difference(fast.token_ids, plain.token_ids)
    agreed = len(plain.token_ids) if differs_at is None else differs_at
    deviations: list[float] = []
    largest, furthest = 0.0, None
    for ours, theirs in zip(
        logit_rows(fast, sampling, agreed), logit_rows(plain, sampling, agreed), strict=True
    ):
        row = ComparedRow(len(deviations), theirs, ours, deviation(theirs, ours))
        deviations.append(row.deviation)
        largest = max(largest, theirs.largest)
        furthest = row if furthest is None or row.deviation > furthest.deviation else furthest
    return Pair(
        fast.prompt_token_ids,
        plain.token_ids,
        fast.token_ids,
        agreed,
        deviations[1:],  # the prefill is the same pass on both sides: no noise
        largest,
        furthest,
        _differing(fast, plain, sampling, agreed),
        _wrong_token(fast, plain, sampling, agreed) or _other_end(fast, plain, agreed),
    )


def logit_row_at(result: Result, sampling: Sampling, position: int) -> LogitRow:
    """Return what the logits of one new token say."""
    assert result.logits is not None
    prefix = [*result.prompt_token_ids, *result.token_ids[:position]]
    return LogitRow.of(result.logits[position], sampling, Spot(prefix, position, result.seed))


def logit_rows(result: Result, sampling: Sampling, count: int) -> Iterator[LogitRow]:
    """Yield what the logits of each of the first ``count`` new tokens say."""
    for position in range(count):
        yield logit_row_at(result, sampling, position)


def _differing(fast: Result, plain: Result, sampling: Sampling, agreed: int) -> ComparedRow | None:
    if agreed == min(len(fast.token_ids), len(plain.token_ids)):
        return None
    ours, theirs = (logit_row_at(result, sampling, agreed) for result in (fast, plain))
    return ComparedRow(agreed, theirs, ours, deviation(theirs, ours))


def _wrong_token(fast: Result, plain: Result, sampling: Sampling, agreed: int) -> Finding | None:
    """Find the first token that its own logits do not choose: no rounding explains that.

    It is looked for after a difference too, since the rest of the text has its own logits.
    """
    for position, row in enumerate(logit_rows(fast, sampling, len(fast.token_ids))):
        token = fast.token_ids[position]
        if not row.chooses(token):
            has_plain = position <= agreed and position < len(plain.token_ids)
            reason = f"the target's own logits there choose {row.token}, not {token}"
            plain_token = plain.token_ids[position] if has_plain else None
            gap = float(row.keys[row.token]) - float(row.keys[token])
            return Finding(position, token, plain_token, (reason,), gap)
    return None


def _other_end(fast: Result, plain: Result, agreed: int) -> Finding | None:
    """Find whether the same tokens end elsewhere, or for another reason."""
    ours, theirs = fast.token_ids, plain.token_ids
    if agreed < min(len(ours), len(theirs)):
        return None
    if len(ours) == len(theirs) and fast.finish_reason == plain.finish_reason:
        return None
    reason = (
        f"it ends after {len(ours)} tokens ({fast.finish_reason}), plain decoding after "
        f"{len(theirs)} ({plain.finish_reason})"
    )
    token, plain_token = (next(iter(tokens[agreed:]), None) for tokens in (ours, theirs))
    return Finding(agreed, token, plain_token, (reason,))

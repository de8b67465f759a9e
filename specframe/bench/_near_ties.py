"""What a difference of tokens amounts to: a near tie, if float64 agrees, or another text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import torch

from specframe._judging.certificate import Bounds, LogitRow, Spot, Trial, certify, rounding
from specframe._judging.check import NOISE_PROMPTS, NOISE_TOKENS, too_many_ties
from specframe._judging.reference import Reference
from specframe._results.result import Result
from specframe._sampling.warping import Sampling
from specframe.bench._competitor import Draws
from specframe.bench._prompts import BenchPrompt
from specframe.bench._records import DIFFERENT, NEAR_TIE, Judgement
from specframe.bench._specframe_competitor import SpecframeCompetitor


@attrs.frozen
class Place:
    """Say where a run first differs from plain decoding: in which turn, at which new token.

    ``at`` counts new tokens over all turns, ``position`` those of the turn.
    """

    turn: int
    position: int
    at: int


@attrs.frozen
class Suspect:
    """Hold a difference: the ids after which its turn began, and both texts from there."""

    prompt: BenchPrompt
    ids: list[int]
    plain_token_ids: list[int]
    token_ids: list[int]
    found: Place

    @property
    def key(self) -> tuple[object, ...]:
        """Return what tells differences apart: repeats that say the same are judged once."""
        at = self.found.position
        tokens, plain = self.token_ids[: at + 1], self.plain_token_ids[: at + 1]
        return str(self.prompt.id), self.found, tuple(tokens), tuple(plain)

    @property
    def end(self) -> str | None:
        """Say that one text ends where the other continues; None where both continue."""
        ours, theirs = len(self.token_ids), len(self.plain_token_ids)
        if self.found.position < min(ours, theirs):
            return None
        return f"its turn ends after {ours} tokens, plain decoding's after {theirs}"


class Referee:
    """Judge tokens as they were recorded; owns the rows that show how far rounding goes.

    Nothing is decoded again with the strategy: in 16 bit, or in a batch, a difference may not
    recur. Both tokens follow the same prefix, and float64 says how near it is to choosing either;
    the bound is the noise of plain decoding on other rows.
    """

    def __init__(self, plain: SpecframeCompetitor, draws: Draws, reference: Reference) -> None:
        """Judge in the name of ``reference``, with the noise of ``plain``."""
        self._plain, self._reference, self._seed = plain, reference, draws.seed
        self._sampling = Sampling(temperature=draws.temperature)
        self._noise: dict[tuple[int, ...], list[float]] = {}

    @torch.inference_mode()
    def bounds(self, suspects: Sequence[Suspect]) -> Bounds:
        """Take the bounds from plain decoding of the first prompts, but for rows under test."""
        under_test = {(tuple(each.ids), each.found.position) for each in suspects}
        ids = dict.fromkeys(tuple(each.ids) for each in suspects)
        noise = [
            value
            for prompt in list(ids)[:NOISE_PROMPTS]
            for position, value in enumerate(self._noise_of(prompt))
            if (prompt, position) not in under_test
        ]
        largest = max(self._logit_row(each).largest for each in suspects)
        return Bounds.of((), noise, rounding(self._dtype, largest))

    @torch.inference_mode()
    def judge(self, suspect: Suspect, bounds: Bounds) -> Judgement:
        """Return what one difference after equal prefixes amounts to."""
        at, sure = suspect.found.position, self._logit_row(suspect)
        trial = Trial(sure, sure, sure, suspect.plain_token_ids[at], suspect.token_ids[at])
        certificate = certify(trial, bounds)
        if not certificate.holds:
            return Judgement(DIFFERENT, suspect.found.at, "; ".join(certificate.reasons))
        why = (
            f"float64 prefers one by {certificate.gap:.2g}, noise bound {2 * bounds.reference:.2g}"
        )
        return Judgement(NEAR_TIE, suspect.found.at, why)

    def too_many(self, ties: int, compared: int) -> str | None:
        """Return why so many near ties in so many tokens are none, or None."""
        return too_many_ties(ties, compared, self._dtype)

    @property
    def _dtype(self) -> torch.dtype:
        return self._plain.decoder.loaded.engine.dtype

    def _logit_row(self, suspect: Suspect) -> LogitRow:
        """Return what float64 says after the prefix of a difference."""
        at, tokens = suspect.found.position, suspect.plain_token_ids
        row = self._reference.rows(suspect.ids, tokens[: at + 1])[at]
        return self._read(row, [*suspect.ids, *tokens[:at]], at)

    def _read(self, row: torch.Tensor, prefix: Sequence[int], position: int) -> LogitRow:
        return LogitRow.of(row, self._sampling, Spot(prefix, position, self._seed))

    def _noise_of(self, prompt: tuple[int, ...]) -> list[float]:
        """Return how far rounding moves plain decoding's choice, row by row of a prompt."""
        if prompt not in self._noise:
            self._noise[prompt] = list(self._deviations(list(prompt)))
        return self._noise[prompt]

    def _deviations(self, ids: list[int]) -> Iterator[float]:
        """Decode plainly and past the end, so that there are enough rows, and yield each one's."""
        self._plain.reset()
        result: Result = self._plain.decoder.decode(
            ids,
            max_new_tokens=NOISE_TOKENS,
            eos_token_id=(),
            output_logits=True,
            seed=self._seed,
            temperature=self._sampling.temperature,
        )
        assert result.logits is not None
        sure = self._reference.rows(ids, result.token_ids)
        for position, row in enumerate(result.logits):
            prefix = [*ids, *result.token_ids[:position]]
            yield swing(
                self._read(sure[position], prefix, position), self._read(row, prefix, position)
            )


def swing(sure: LogitRow, plain: LogitRow) -> float:
    """Return by how much rounding moves the gap between the two tokens that float64 puts first.

    In a whole row, the token that moves furthest is one that nobody would choose: as a bound, that
    would acquit a second best token too.
    """
    leaders = sure.keys.topk(2).indices
    (ours, others), (theirs, rest) = sure.keys[leaders], plain.keys[leaders]
    return abs(float((ours - others) - (theirs - rest)))

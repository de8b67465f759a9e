"""Plain against speculative decoding: the same tokens, a numeric tie, or a bug."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any, Unpack

import torch

from specframe import _defaults
from specframe._decoder.arguments import StreamArguments
from specframe._decoder.decoder import Decoder
from specframe._decoder.request import Prompt, Request
from specframe._errors import InputError
from specframe._judging.certificate import (
    Bounds,
    LogitRow,
    Spot,
    Trial,
    certify,
    deviation,
    rounding,
)
from specframe._judging.findings import Finding, PromptCheck, Report
from specframe._judging.pairs import ComparedRow, Pair, logit_rows, pair_up
from specframe._judging.reference import Reference
from specframe._loading.probe import TOLERANCE
from specframe._results.result import Result

OUTLIER = 20.0  # times the median: a row of an agreed token that far off is judged in float64
FAR = 10.0  # times as far from float64 as plain decoding's own row: no rounding does that
NOISE_TOKENS = 64  # least number of plain tokens of a prompt that show the noise
NOISE_PROMPTS = 4  # prompts that show it
FEWEST_TIES, TOKENS_A_TIE = 3, 200  # in float32 and float64, more ties are a bug
SEED = 0


def check(
    decoder: Decoder, prompts: Sequence[Prompt], **arguments: Unpack[StreamArguments]
) -> Report:
    """Decode prompts, one at a time, plainly and with ``decoder``; arguments as for ``decode``."""
    checker = Checker(decoder, arguments)
    return checker.report([checker.compare(prompt) for prompt in prompts])


def require_tokens(guarantee: str, verifier: str, temperature: float) -> None:
    """Raise InputError unless a verifier promises the tokens of plain decoding."""
    if guarantee == "none":
        raise InputError(
            f"verifier '{verifier}' changes what the model says, so there is nothing to hold it "
            f"against: name '{_defaults.VERIFIER}' or '{_defaults.SAMPLING_VERIFIER}'"
        )
    if guarantee == "distribution" and temperature:
        raise InputError(
            f"verifier '{verifier}' promises a distribution at temperature {temperature}, and a "
            f"check compares tokens: name '{_defaults.SAMPLING_VERIFIER}'; the conformance kit, "
            "specframe.testing, tests distributions"
        )


class Checker:
    """Compare prompt by prompt, then judge what differs; owns the plain decoder.

    Judging comes last, since its bounds come from the rows of all prompts.
    """

    def __init__(
        self, decoder: Decoder, arguments: StreamArguments, reference: Reference | None = None
    ) -> None:
        """Check ``decoder`` with ``arguments`` of ``decode``; the default seed is 0.

        Checkers of one model may share its ``reference``.
        """
        arguments = arguments.copy()
        if arguments.get("seed") is None:
            arguments["seed"] = SEED
        request = Request(**arguments)
        setup = decoder.setup_at(request.temperature)
        require_tokens(setup.guarantee, setup.verifier, request.temperature)
        arguments["output_logits"] = True
        self._arguments: StreamArguments = arguments
        self._sampling = request.sampling
        self._decoder, self._plain = decoder, decoder.plain()
        self._dtype = decoder.loaded.engine.dtype
        self._reference = reference or Reference(decoder.loaded)
        self._seed: Any = request.seed

    @torch.inference_mode()
    def compare(self, prompt: Prompt, **changes: Unpack[StreamArguments]) -> Pair:
        """Decode one prompt both ways; ``changes`` replace arguments for this prompt."""
        arguments = self._arguments | changes
        fast: Result = self._decoder.decode(prompt, **arguments)
        plain: Result = self._plain.decode(prompt, **arguments)
        return pair_up(fast, plain, self._sampling)

    @torch.inference_mode()
    def report(self, pairs: Sequence[Pair]) -> Report:
        """Judge what differs and return the report."""
        noise = sorted(value for pair in pairs for value in pair.deviations)
        outliers = {id(pair) for pair in pairs if self._is_outlier(pair, noise)}
        suspects = [
            pair for pair in pairs if not pair.broken and (pair.differing or id(pair) in outliers)
        ]
        bounds = self._bounds(suspects, noise) if suspects else None
        checks = []
        for pair in pairs:
            finding = pair.broken
            if finding is None and bounds is not None:
                finding = self._judged(pair, bounds, is_outlier=id(pair) in outliers)
            checks.append(PromptCheck(pair.prompt_token_ids, pair.compared, finding))
        report = Report(checks, noise, bounds)
        return Report(checks, noise, bounds, self._too_many_ties(report))

    def _is_outlier(self, pair: Pair, noise: Sequence[float]) -> bool:
        """Tell whether the furthest row of agreed tokens is further off than rounding takes it."""
        if pair.furthest is None or not noise:
            return False
        found, least = pair.furthest.deviation, rounding(self._dtype, pair.largest)
        usual = max(OUTLIER * statistics.median(noise), least)
        return found > usual or found > TOLERANCE[self._dtype] * pair.largest

    def _bounds(self, suspects: Sequence[Pair], noise: Sequence[float]) -> Bounds:
        """Take the bounds from all rows that are not under test."""
        off = [value for pair in suspects[:NOISE_PROMPTS] for value in self._plain_noise(pair)]
        largest = max(
            row.plain.largest for pair in suspects for row in (pair.differing, pair.furthest) if row
        )
        return Bounds.of(noise, off, rounding(self._dtype, largest))

    def _plain_noise(self, pair: Pair) -> Iterator[float]:
        """Yield how far plain decoding of a prompt is from float64, row by row.

        The prompt is decoded once more, past its end, so that there are enough rows.
        """
        budget = max(NOISE_TOKENS, len(pair.plain_token_ids))
        changes: StreamArguments = {
            "max_new_tokens": budget,
            "eos_token_id": (),
            "stop": (),
            "stopping_criteria": None,
        }
        arguments = self._arguments | changes
        plain: Result = self._plain.decode(pair.prompt_token_ids, **arguments)
        under_test = {row.position for row in (pair.differing, pair.furthest) if row}
        rows = self._reference.rows(plain.prompt_token_ids, plain.token_ids)
        for position, ours in enumerate(logit_rows(plain, self._sampling, len(rows))):
            if position not in under_test:
                spot = Spot(self._prefix(plain.token_ids, pair, position), position, self._seed)
                yield deviation(LogitRow.of(rows[position], self._sampling, spot), ours)

    def _prefix(self, tokens: Sequence[int], pair: Pair, position: int) -> list[int]:
        return [*pair.prompt_token_ids, *tokens[:position]]

    def _referee(self, pair: Pair, row: ComparedRow) -> LogitRow:
        """Return what float64 says after the prefix of a row."""
        at = row.position
        logits = self._reference.rows(pair.prompt_token_ids, pair.plain_token_ids)[at]
        prefix = self._prefix(pair.plain_token_ids, pair, at)
        return LogitRow.of(logits, self._sampling, Spot(prefix, at, self._seed))

    def _judged(self, pair: Pair, bounds: Bounds, *, is_outlier: bool) -> Finding | None:
        """Return a bug if there is one, else a tie if there is one."""
        found = None
        if pair.differing is not None:
            found = self._judged_difference(pair, pair.differing, bounds)
        if is_outlier and (found is None or found.word == "tie"):
            found = self._judged_outlier(pair, bounds) or found
        return found

    def _judged_outlier(self, pair: Pair, bounds: Bounds) -> Finding | None:
        """Return a bug if the strategy's row is far from float64 and plain decoding's is not."""
        row = pair.furthest
        assert row is not None
        reference = self._referee(pair, row)
        plain_off, off = (deviation(reference, choice) for choice in (row.plain, row.fast))
        if off <= max(bounds.reference, FAR * plain_off):
            return None
        reason = (
            f"the logits differ from float64's by {off:.2g}, plain decoding's by {plain_off:.2g}, "
            f"and other rows of it by {bounds.reference:.2g} at most"
        )
        token = pair.token_ids[row.position]
        return Finding(row.position, token, token, (reason,))

    def _judged_difference(self, pair: Pair, row: ComparedRow, bounds: Bounds) -> Finding:
        token, plain_token = pair.token_ids[row.position], pair.plain_token_ids[row.position]
        trial = Trial(row.plain, row.fast, self._referee(pair, row), plain_token, token)
        certificate = certify(trial, bounds)
        reasons, gap = certificate.reasons, certificate.gap
        return Finding(row.position, token, plain_token, reasons, gap, certificate)

    def _too_many_ties(self, report: Report) -> str | None:
        """Return why so many ties are a bug, or None."""
        ties = [prompt for prompt in report.prompts if prompt.word == "tie"]
        return too_many_ties(len(ties), report.compared, self._dtype)


def too_many_ties(ties: int, compared: int, dtype: torch.dtype) -> str | None:
    """Return why so many ties in so many tokens are a bug; None if they are not one."""
    is_wide = dtype in (torch.float32, torch.float64)
    if not is_wide or ties < FEWEST_TIES or ties * TOKENS_A_TIE <= compared:
        return None
    return (
        f"{ties} ties in {compared} tokens are too many for {str(dtype).removeprefix('torch.')}: "
        f"more than one in {TOKENS_A_TIE} is no accident"
    )

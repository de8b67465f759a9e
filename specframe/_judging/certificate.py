"""Whether two rows of logits that choose different tokens differ by rounding alone.

The bounds come from other rows: a bound made of the difference under test would certify anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import attrs
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from specframe._sampling.noise import Key, Purpose, gumbels
from specframe._sampling.warping import Sampling, widened

MARGIN = 4.0  # times the noise that other rows show
QUANTILE = 0.999
ULPS = 2.0  # no bound is narrower than this many roundings of the largest logit
FEWEST_ROWS = 16  # fewer rows tell too little about the noise


@attrs.frozen
class Spot:
    """Say where a token is chosen: after which prefix, its index among the new ones, the seed."""

    prefix: Sequence[int]
    index: int
    seed: int


@attrs.frozen(eq=False)
class LogitRow:
    """Hold what one row of logits says.

    ``scaled`` are the logits after penalties, processors and temperature, ``kept`` the tokens that
    the filters leave (None: all), ``noise`` what is added before the largest is taken (None:
    greedy).
    """

    scaled: Float[Tensor, " vocab"]
    kept: Bool[Tensor, " vocab"] | None = None
    noise: Float[Tensor, " vocab"] | None = None

    @classmethod
    def of(cls, logits: Float[Tensor, " vocab"], sampling: Sampling, spot: Spot) -> LogitRow:
        """Read a row as the target's sampler does."""
        wide = widened(logits)
        if sampling.reads_prefix:
            wide = sampling.process(spot.prefix, wide)
        if sampling.is_greedy:
            return cls(wide)
        noise = gumbels(Key(spot.seed, Purpose.COUPLE, spot.index), len(wide)).to(wide.device)
        kept = sampling.warp(wide[None])[0].isfinite() if sampling.filters else None
        return cls(wide / sampling.temperature, kept, noise)

    @cached_property
    def keys(self) -> Float[Tensor, " vocab"]:
        """Return the values that are compared, before the filters."""
        scaled = self.scaled.double()
        return scaled if self.noise is None else scaled + self.noise

    @property
    def survivors(self) -> Bool[Tensor, " vocab"]:
        """Return which tokens the filters leave."""
        return torch.ones_like(self.scaled, dtype=torch.bool) if self.kept is None else self.kept

    @property
    def token(self) -> int:
        """Return the chosen token: the lowest id if several tie."""
        return int(self.keys.masked_fill(~self.survivors, -torch.inf).argmax())

    @property
    def largest(self) -> float:
        """Return the magnitude that rounding is relative to."""
        return float(self.scaled[self.scaled.isfinite()].abs().max())

    def chooses(self, token: int) -> bool:
        """Tell whether this row chooses ``token``; exact if it is greedy.

        With noise, the last bits may depend on the shape of the pass, and so may the tokens at the
        edge of a filter: a token that would win if it were kept is left to the certificate.
        """
        if self.noise is None or token == self.token:
            return token == self.token
        slack = MARGIN * torch.finfo(torch.float32).eps * self.largest
        return float(self.keys[token]) >= float(self.keys[self.token]) - slack


def deviation(one: LogitRow, other: LogitRow) -> float:
    """Return the largest difference of two rows; tokens that both rule out do not differ."""
    ours, theirs = one.scaled.double(), other.scaled.double().to(one.scaled.device)
    return float((ours - theirs).abs().masked_fill(ours == theirs, 0.0).max())


def rounding(dtype: torch.dtype, largest: float) -> float:
    """Return the smallest bound: logits of ``dtype`` are no finer."""
    return ULPS * torch.finfo(dtype).eps * largest


def noise_bound(deviations: Sequence[float], floor: float) -> float:
    """Return the bound from rows of the same tokens: 4 x their 99.9th percentile."""
    if not deviations:
        return floor
    seen = torch.tensor(deviations, dtype=torch.float64)
    high = torch.quantile(seen, QUANTILE, interpolation="higher")
    return max(floor, MARGIN * float(high))


@attrs.frozen
class Bounds:
    """Hold how far apart rounding takes logits, measured on other rows than the one under test.

    ``runs``: two ways of decoding, from ``rows`` rows on which they agree; ``reference``: plain
    decoding and the same model in float64, from ``reference_rows`` rows of plain decoding alone, so
    that no fault of a strategy can widen it.
    """

    runs: float
    reference: float
    rows: int
    reference_rows: int

    @classmethod
    def of(cls, runs: Sequence[float], reference: Sequence[float], floor: float) -> Bounds:
        """Take the bounds from deviations on other rows; none is below ``floor``.

        If the two ways agree on too few rows, the reference alone bounds them: two rows that are
        both that near to it are at most twice as far from each other.
        """
        near = noise_bound(reference, floor)
        few = len(runs) < FEWEST_ROWS
        return cls(2 * near if few else noise_bound(runs, floor), near, len(runs), len(reference))


@attrs.frozen
class Certificate:
    """Say whether a difference of tokens is a numeric tie, with the figures.

    ``gap`` is by how much float64 prefers one of the two tokens; ``between``, ``plain_off`` and
    ``fast_off`` are the largest differences of logits between the two ways of decoding, and between
    each and float64. Figures are in units of logits over temperature. ``reasons`` is empty for a
    tie.
    """

    gap: float
    between: float
    plain_off: float
    fast_off: float
    bounds: Bounds
    reasons: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Tell whether this is a numeric tie."""
        return not self.reasons


@attrs.frozen(eq=False)
class Trial:
    """Hold one difference: the row of each way of decoding, that of float64, and both tokens."""

    plain: LogitRow
    fast: LogitRow
    reference: LogitRow
    plain_token: int
    token: int


def certify(trial: Trial, bounds: Bounds) -> Certificate:
    """Judge a difference of tokens after the same prefix.

    It is a numeric tie if the two rows are as near to each other, and each of them to float64, as
    other rows are, and if float64 could choose either token with that much noise.
    """
    between = deviation(trial.plain, trial.fast)
    plain_off = deviation(trial.reference, trial.plain)
    fast_off = deviation(trial.reference, trial.fast)
    keys = trial.reference.keys
    reasons = [
        f"{what} by {found:.2g}, and other rows by {bound:.2g} at most"
        for what, found, bound in (
            ("the logits differ from plain decoding's", between, bounds.runs),
            ("plain decoding's logits differ from float64's", plain_off, bounds.reference),
            ("the logits differ from float64's", fast_off, bounds.reference),
        )
        if not found <= bound
    ]
    reasons += [
        f"float64 is further from choosing {token} than noise can carry it"
        for token in (trial.plain_token, trial.token)
        if not _may_be_chosen(token, trial, 2 * bounds.reference)
    ]
    gap = abs(float(keys[trial.plain_token]) - float(keys[trial.token]))
    return Certificate(gap, between, plain_off, fast_off, bounds, tuple(reasons))


def _may_be_chosen(token: int, trial: Trial, reach: float) -> bool:
    """Tell whether the reference, moved by noise, could choose ``token``.

    A token at the edge of a filter is kept in one row and not in another that is just as good, and
    noise may favour it by any amount. So it counts as kept if any row keeps it, and only tokens
    that all rows keep can beat it.
    """
    rows = [row.survivors.cpu() for row in (trial.plain, trial.fast, trial.reference)]
    kept = torch.stack(rows)
    keys = trial.reference.keys.cpu()
    sure = keys.masked_fill(~kept.all(dim=0), -torch.inf).max()
    return bool(kept[:, token].any()) and float(keys[token]) >= float(sure) - reach

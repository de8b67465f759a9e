"""Whether a difference of tokens is rounding: rows made by hand, bounds from other rows."""

import pytest
import torch

from specframe._judging.certificate import (
    FEWEST_ROWS,
    Bounds,
    LogitRow,
    Spot,
    Trial,
    certify,
    deviation,
    noise_bound,
    rounding,
)
from specframe._sampling.warping import Sampling

BOUNDS = Bounds(runs=0.1, reference=0.1, rows=200, reference_rows=200)
SPOT = Spot([1, 2], 0, 7)


def row(*values):
    return LogitRow(torch.tensor(values, dtype=torch.float32))


def trial(plain, fast, reference):
    return Trial(plain, fast, reference, plain.token, fast.token)


def test_a_near_tie_within_the_noise_of_other_rows_is_certified():
    found = certify(trial(row(5.02, 5.0, 1), row(5.0, 5.03, 1), row(5.01, 5.0, 1)), BOUNDS)
    assert found.holds
    assert found.gap == pytest.approx(0.01, abs=1e-5)
    assert found.between == pytest.approx(0.03, abs=1e-5)
    assert found.plain_off == pytest.approx(0.01, abs=1e-5)
    assert found.fast_off == pytest.approx(0.03, abs=1e-5)


def test_a_large_difference_does_not_certify_itself():
    """The trap: "gap <= 2 x the observed difference" holds for every pair of rows."""
    plain, fast = row(5.0, 3.0, 1), row(3.0, 5.0, 1)
    found = certify(trial(plain, fast, plain), BOUNDS)
    assert found.gap <= 2 * found.between
    assert not found.holds
    assert "the logits differ from plain decoding's by 2, and other rows by 0.1" in found.reasons[0]


def test_a_row_that_is_far_from_float64_is_no_tie_however_small_the_gap():
    reference = row(5.01, 5.0, 1)
    wild = row(5.0, 5.01, 4)
    found = certify(trial(row(5.01, 5.0, 1), wild, reference), BOUNDS)
    assert not found.holds
    assert any("the logits differ from float64's by 3" in reason for reason in found.reasons)


def test_a_fault_that_both_ways_share_shows_against_float64():
    found = certify(trial(row(5.01, 5.0, 1), row(5.0, 5.01, 1), row(1, 2, 6)), BOUNDS)
    assert not found.holds
    assert any("plain decoding's logits differ from float64's" in why for why in found.reasons)


def test_wide_bounds_between_the_runs_do_not_help_a_row_that_float64_refutes():
    """A fault that shows in agreeing rows too widens the first bound, and only that one."""
    wide = Bounds(runs=50.0, reference=0.1, rows=200, reference_rows=200)
    plain = row(5.0, 4.0, 1)
    assert not certify(trial(plain, row(4.0, 5.0, 1), plain), wide).holds


def test_a_token_that_float64_is_far_from_choosing_is_no_tie():
    rows = row(5.0, 4.5, 1)
    found = certify(Trial(rows, rows, rows, 0, 1), BOUNDS)
    assert found.reasons == ("float64 is further from choosing 1 than noise can carry it",)


def test_the_bound_is_four_times_the_noise_of_the_other_rows():
    assert noise_bound([0.01] * 999 + [0.02], 0.0) == pytest.approx(0.08)
    assert noise_bound([0.01] * 9999 + [0.02], 0.0) == pytest.approx(0.04)
    assert noise_bound([0.0] * 50, 0.3) == 0.3
    assert noise_bound([], 0.3) == 0.3


def test_too_few_agreeing_rows_leave_the_bound_to_the_reference():
    few, many = [0.5] * (FEWEST_ROWS - 1), [0.5] * FEWEST_ROWS
    assert Bounds.of(few, [0.01] * 64, 0.0).runs == pytest.approx(0.08)
    assert Bounds.of(many, [0.01] * 64, 0.0).runs == pytest.approx(2.0)
    assert Bounds.of([], [], 0.25) == Bounds(0.5, 0.25, 0, 0)


def test_no_bound_is_finer_than_the_dtype():
    assert rounding(torch.bfloat16, 16.0) == 0.25
    assert rounding(torch.float32, 16.0) < 1e-5


def test_what_both_rows_rule_out_does_not_differ():
    out = -torch.inf
    assert deviation(row(1, out, 2), row(1, out, 2.5)) == 0.5
    assert deviation(row(1, out, 2), row(1, 0, 2)) == torch.inf


def test_a_greedy_row_chooses_the_lowest_of_equal_tokens_and_no_other():
    tied = LogitRow.of(torch.tensor([1.0, 3.0, 3.0]), Sampling(), SPOT)
    assert tied.chooses(1)
    assert not tied.chooses(2)


@pytest.mark.models
def test_a_sampled_row_is_read_as_the_sampler_reads_it():
    from specframe import Row, Rows, Sampler, Stops

    logits = torch.randn(50, generator=torch.Generator().manual_seed(0)).bfloat16()
    for sampling in (Sampling(0.8), Sampling(1.5, top_k=5), Sampling(0.7, repetition_penalty=1.5)):
        for index in range(20):
            prefix = [1, 2, *range(index)]
            sampled = Sampler(sampling).first(
                Rows([Row(0, 2, prefix, Stops(99, 99), seed=3)]), logits[None]
            )
            row = LogitRow.of(logits, sampling, Spot(prefix, index, 3))
            assert row.token == int(sampled)
            assert row.chooses(int(sampled))
            assert not row.chooses(int(row.keys.argmin()))


def test_noise_is_part_of_what_is_compared_and_the_temperature_of_the_bound():
    """At temperature 0.5 logits that are 0.1 apart are 0.2 apart, with the noise beside them."""
    plain = LogitRow.of(torch.tensor([5.0, 4.0]), Sampling(0.5), SPOT)
    reach = float(plain.noise[0] - plain.noise[1])
    level = torch.tensor([5.0, 5.0 + reach / 2])
    up, down = (
        LogitRow.of(level + torch.tensor([step, -step]), Sampling(0.5), SPOT) for step in (1, -1)
    )
    assert {up.token, down.token} == {0, 1}
    nearly = [
        LogitRow.of(level + torch.tensor([step, 0.0]), Sampling(0.5), SPOT)
        for step in (0.01, -0.01)
    ]
    found = certify(trial(*nearly, nearly[0]), BOUNDS)
    assert found.holds
    assert found.gap == pytest.approx(0.02, abs=1e-3)
    assert not certify(trial(up, down, up), BOUNDS).holds


@pytest.mark.models
def test_a_token_at_the_edge_of_a_filter_may_be_in_and_out():
    """Noise may favour it by far, so that only its place at the edge excuses the difference."""
    logits = torch.tensor([5.0, 4.0, 3.99, 0.0])
    seen = [
        Spot([1], 0, seed)
        for seed in range(200)
        if LogitRow.of(logits, Sampling(1.0, top_k=2), Spot([1], 0, seed)).token == 1
    ]
    spot = next(s for s in seen if LogitRow.of(logits.flip(0), Sampling(1.0), s).noise[1] > 3)
    swapped = torch.tensor([5.0, 3.99, 4.0, 0.0])
    plain, fast = (LogitRow.of(each, Sampling(1.0, top_k=2), spot) for each in (logits, swapped))
    assert plain.token == 1
    assert fast.token != 1
    found = certify(trial(plain, fast, plain), BOUNDS)
    assert found.gap > 2 * BOUNDS.reference
    assert found.holds
    dropped = LogitRow.of(logits, Sampling(1.0, top_k=1), spot)
    kept_nowhere = Trial(dropped, dropped, dropped, 0, 1)
    assert not certify(kept_nowhere, BOUNDS).holds

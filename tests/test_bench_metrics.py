"""What is computed from runs: sums, ratios, intervals, explanations."""

from __future__ import annotations

import statistics

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_runs import FAST, PLAIN, THEIRS, header, rounds, run, strategy, turn
from specframe.bench._explanation import (
    Balance,
    explain,
    explain_without_parts,
    reservation,
    won_or_lost,
)
from specframe.bench._judging import first_place
from specframe.bench._records import (
    ALL,
    IDENTICAL,
    Judgement,
    PromptDifference,
    Seconds,
    Turn,
)
from specframe.bench._statistics import median_ratio, repeated_grams
from specframe.bench._summary import Summaries
from specframe.bench.report._words import differences_in_words

positive = st.floats(0.01, 100)


def summed(runs, prompts, names=(PLAIN, FAST), judgements=None):
    found = Summaries(header(prompts, [strategy(name) for name in names]), runs, judgements or {})
    return {(row.strategy, row.task): row for row in found.rows()}


@settings(max_examples=50, deadline=None)
@given(st.lists(rounds, min_size=1, max_size=4))
def test_the_sums_of_a_strategy_hold_together(decoded):
    prompts = [(f"p{number}", "a" if number % 2 else "b") for number in range(len(decoded))]
    runs = [run(FAST, f"p{number}", [turn(each)]) for number, each in enumerate(decoded)]
    rows = summed(runs, prompts)
    row = rows[FAST, ALL]
    tokens = sum(len(each.turns[0].token_ids) for each in runs)
    count = sum(map(len, decoded))
    assert sum(row.acceptance_histogram) == count
    accepted = sum(k * rounds for k, rounds in enumerate(row.acceptance_histogram))
    assert accepted == sum(level.accepted for level in row.acceptance_by_position)
    assert all(level.accepted <= level.reached for level in row.acceptance_by_position)
    reached = [level.reached for level in row.acceptance_by_position]
    assert reached == sorted(reached, reverse=True)
    if count:
        assert row.mean_acceptance_length == pytest.approx(accepted / count + 1)
        assert tokens == pytest.approx(len(runs) + count * row.mean_acceptance_length)
    else:
        assert row.mean_acceptance_length is None
    if any(drafted for each in decoded for drafted, _ in each):
        assert 0 <= row.draft_acceptance_rate <= 1
    tasks = [row for (name, task), row in rows.items() if name == FAST and task != ALL]
    assert row.seconds["draft"] == pytest.approx(
        sum(each.seconds.get("draft", 0) for each in tasks)
    )
    assert row.num_prompts == sum(each.num_prompts for each in tasks) == len(runs)


@given(st.lists(positive, min_size=1, max_size=20), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_the_interval_holds_the_median_and_is_the_same_for_the_same_seed(ratios, seed):
    found = median_ratio(ratios, seed)
    assert found.median == statistics.median(ratios)
    assert found == median_ratio(list(reversed(ratios)), seed)
    if len(ratios) == 1:
        assert found.low is None
        assert found.high is None
    else:
        assert min(ratios) <= found.low <= found.high <= max(ratios)


def test_the_interval_covers_the_true_median_about_as_often_as_it_says():
    import numpy as np

    draw = np.random.default_rng(5)
    samples = [list(draw.lognormal(0.5, 0.3, size=25)) for _ in range(120)]
    found = [median_ratio(sample, 0) for sample in samples]
    covered = sum(each.low <= np.exp(0.5) <= each.high for each in found)
    assert 0.87 <= covered / len(found) <= 0.995


def test_a_speed_up_is_the_median_over_prompts_of_the_fastest_runs():
    runs = []
    for prompt, factors in (("a", (2, 4)), ("b", (3, 1)), ("c", (8, 2))):
        for repeat, factor in enumerate(factors):
            plain = turn([(0, 0)] * 6, seconds=0.01 * (1 + repeat))
            fast = turn([(0, 0)] * 6, seconds=0.01 / factor)
            runs += [run(PLAIN, prompt, [plain], repeat=repeat)]
            runs += [run(FAST, prompt, [fast], repeat=repeat)]
    row = summed(runs, [(name, "x") for name in "abc"])[FAST, ALL]
    assert row.speedup_by_prompt == pytest.approx({"a": 4, "b": 3, "c": 8})
    assert row.speedup == pytest.approx(4)
    assert 2.99 <= row.speedup_low <= 4 <= row.speedup_high <= 8.01
    assert row.speedup_over_transformers is None


def test_rows_of_a_batch_share_their_seconds():
    short, long = turn([(1, 1)]), turn([(1, 1)] * 3)
    alone = summed([run(FAST, "b", [long])], [("b", "x")])[FAST, ALL]
    both = [run(FAST, "a", [short], batch=0), run(FAST, "b", [long], batch=0)]
    row = summed(both, [("a", "x"), ("b", "x")])[FAST, ALL]
    assert row.seconds == alone.seconds
    assert row.tokens_per_second == pytest.approx(alone.tokens_per_second * 8 / 6)
    both_rates = row.tokens_per_second_with_prefill, alone.tokens_per_second_with_prefill
    assert both_rates[0] == pytest.approx(both_rates[1] * 10 / 7)


def test_rates_with_and_without_prefill_leave_the_same_tokens_out_as_seconds():
    seconds = Seconds(total=4.0, prefill=1.0, draft=1.0, verify=1.0, other=1.0)
    one = attrs.evolve(turn([(0, 0)] * 9), seconds=seconds)
    row = summed([run(FAST, "a", [one])], [("a", "x")])[FAST, ALL]
    assert row.tokens_per_second == pytest.approx(9 / 3)
    assert row.tokens_per_second_with_prefill == pytest.approx(10 / 4)


def test_transformers_tokens_that_came_with_the_prefill_are_left_out():
    theirs = Turn(3, list(range(10)), None, "length", Seconds(3.0, 1.0), chunks=[4, 3, 3])
    records = [strategy(PLAIN), strategy(THEIRS, "transformers")]
    found = Summaries(header([("a", "x")], records), [run(THEIRS, "a", [theirs])], {}).rows()
    row = next(each for each in found if each.strategy == THEIRS)
    assert row.tokens_per_second == pytest.approx(6 / 2)
    assert row.mean_acceptance_length == 3
    assert row.seconds == {"prefill": 1.0, "draft": None, "verify": None, "other": None}
    assert row.acceptance_by_position == []


def test_rounds_of_transformers_are_weighed_too():
    theirs = Turn(3, list(range(10)), None, "length", Seconds(0.7, 0.1), chunks=[4, 3, 3])
    records = [strategy(PLAIN), strategy(THEIRS, "transformers")]
    plain = run(PLAIN, "a", [turn([(0, 0)] * 9, seconds=0.05)])
    found = Summaries(header([("a", "x")], records), [plain, run(THEIRS, "a", [theirs])], {}).rows()
    row = next(each for each in found if each.strategy == THEIRS)
    assert row.break_even_acceptance_length == pytest.approx(0.3 / 0.15)
    assert row.verdict.startswith("won: a round costs as much as 2.00 plain tokens")


def test_what_failed_is_counted_and_nothing_else_is_said():
    runs = [run(FAST, "a", [], error="no"), run(PLAIN, "a", [turn([(0, 0)])])]
    row = summed(runs, [("a", "x"), ("b", "x")])[FAST, ALL]
    assert (row.num_prompts, row.num_failed, row.speedup) == (2, 1, None)
    assert row.verdict is None


def test_judgements_are_counted_by_task():
    runs = [run(FAST, name, [turn([(1, 1)])]) for name in ("a", "b", "c", 4)]
    judged = {
        FAST: {
            "a": IDENTICAL,
            "b": Judgement("near tie", 4, "close"),
            "c": Judgement("different", 2, "far"),
            "4": Judgement("not judged", 0, "no memory"),
        }
    }
    rows = summed(runs, [("a", "x"), ("b", "y"), ("c", "y"), (4, "z")], judgements=judged)
    counts = {
        task: (row.identical, row.near_ties, row.different, row.not_judged)
        for (name, task), row in rows.items()
        if name == FAST
    }
    assert counts == {ALL: (1, 1, 1, 1), "x": (1, 0, 0, 0), "y": (0, 1, 1, 0), "z": (0, 0, 0, 1)}
    assert rows[FAST, ALL].differences == [
        PromptDifference("b", 4, "near tie", "close"),
        PromptDifference("c", 2, "different", "far"),
        PromptDifference(4, 0, "not judged", "no memory"),
    ]
    assert rows[FAST, "x"].differences == []
    assert rows[PLAIN, ALL].identical is None


def test_what_differs_is_named_the_worst_first_and_counted_from_the_fourth_on():
    ties = [PromptDifference(name, 7, "near tie", "close") for name in "abcde"]
    found = differences_in_words(
        [
            *ties,
            PromptDifference(9, 0, "not judged", "no memory"),
            PromptDifference("x", 2, "different", "far"),
        ]
    )
    assert found == [
        "different: x at new token 2",
        "not judged: 9 at new token 0 (no memory)",
        "near ties: a at new token 7, b at new token 7, c at new token 7, 2 more",
    ]
    assert differences_in_words([]) == []


@given(st.lists(st.integers(0, 3), max_size=60))
def test_repeated_grams_are_those_that_occurred_before(tokens):
    seen, repeated = set(), 0
    grams = [tuple(tokens[at : at + 8]) for at in range(len(tokens) - 7)]
    for gram in grams:
        repeated += gram in seen
        seen.add(gram)
    assert repeated_grams([tokens]) == (repeated / len(grams) if grams else None)


def test_a_loop_is_all_repetition_and_other_outputs_do_not_count_as_before():
    assert repeated_grams([[1] * 15]) == 7 / 8
    assert repeated_grams([list(range(8)), list(range(8))]) == 0


@pytest.mark.parametrize(
    ("parts", "brings", "accepted", "start", "end"),
    [
        ((0.5, 1.0, 0.1), 2.4, 0.7, "won", "brings 2.40"),
        ((0.5, 1.0, 0.1), 1.61, 0.3, "neither won nor lost", "brings 1.61"),
        ((1.5, 1.0, 0.1), 1.9, 0.4, "lost", "drafting costs the most of what is lost"),
        ((0.1, 2.0, 0.1), 2.15, 0.4, "lost", "pass over one token"),
        ((0.1, 1.0, 1.5), 2.52, 0.4, "lost", "neither drafting nor verifying"),
        ((0.5, 1.1, 0.1), 1.02, 0.02, "lost", "2% of the drafted tokens accepted"),
        ((0.0, 1.0, 0.3), 1.0, None, "lost", "nothing was drafted"),
    ],
)
def test_the_verdict_says_why(parts, brings, accepted, start, end):
    costs = Balance(
        dict(zip(("draft", "verify", "other"), parts, strict=True)),
        {"draft": 0.0, "verify": 0.95, "other": 0.05},
        brings,
        accepted,
    )
    said = explain(costs)
    assert said.startswith(start)
    assert end in said


def test_break_even_is_what_a_round_costs_in_plain_tokens():
    plain = run(PLAIN, "a", [turn([(0, 0)] * 10, seconds=0.01)])
    fast = run(FAST, "a", [turn([(4, 2)] * 4, seconds=0.02)])
    row = summed([plain, fast], [("a", "x")])[FAST, ALL]
    assert row.break_even_acceptance_length == pytest.approx(2)
    assert row.verdict.startswith("won")
    assert row.speedup == pytest.approx(3 / 2)


def a_slow_repeat(slow, fast):
    """Return the row of a strategy whose second repeat of two is slower by ``slow``."""
    plain = run(PLAIN, "a", [turn([(0, 0)] * 10, seconds=0.01)])
    runs = [plain] + [
        run(FAST, "a", [turn([(2, 1)] * 4, seconds=seconds)], repeat=repeat)
        for repeat, seconds in enumerate((fast, slow))
    ]
    return summed(runs, [("a", "x")])[FAST, ALL]


def test_a_verdict_on_the_other_side_of_the_speed_up_says_so():
    row = a_slow_repeat(slow=0.05, fast=0.0125)
    assert row.speedup > 1.02
    assert row.verdict.startswith("lost: ")
    assert row.verdict.endswith(
        "; mind that this weighs all runs together (0.64x), and the speed-up of 1.60x is the "
        "median over prompts of each one's fastest run"
    )
    assert "mind that" not in a_slow_repeat(slow=0.012, fast=0.012).verdict


@given(st.floats(0.3, 3), st.floats(0.3, 3))
def test_no_verdict_parts_from_its_speed_up_in_silence(ratio, speedup):
    said = explain_without_parts(1.0, ratio) + reservation(ratio, speedup)
    shown = won_or_lost(1.0, speedup)
    opposite = {said.partition(":")[0], shown} == {"won", "lost"}
    assert ("mind that" in said) >= opposite
    if (ratio > 1) == (speedup > 1):
        assert "mind that" not in said


def test_the_first_place_counts_tokens_over_all_turns():
    plain = run(PLAIN, "a", [turn([], tokens=[1, 2, 3]), turn([], tokens=[4, 5])])
    same = run(FAST, "a", [turn([], tokens=[1, 2, 3]), turn([], tokens=[4, 5])])
    other = run(FAST, "a", [turn([], tokens=[1, 2, 3]), turn([], tokens=[4, 6, 7])])
    longer = run(FAST, "a", [turn([], tokens=[1, 2, 3, 4]), turn([], tokens=[9])])
    assert first_place(same, plain) is None
    assert attrs.astuple(first_place(other, plain)) == (1, 1, 4)
    assert attrs.astuple(first_place(longer, plain)) == (0, 3, 3)

"""Where a row ends: stops and budgets token by token, rooms, and the stop policies."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specframe import Needs, Row, Sampler, Step, Stops, Target, leave
from specframe_stops import ConfidenceOptions, FixedOptions
from specframe_stops._memoryless import ConfidencePolicy, FixedPolicy
from table_drafters import PlannedLimits, TreeDrafter, stops
from table_engine import Table, TableEngine, make_rows

often = settings(max_examples=200, deadline=None)
tokens_of = st.lists(st.integers(0, 5), min_size=1, max_size=6)


def text(tokens):
    """Return one letter a token, and nothing for token 5."""
    return "".join("abcde"[token] for token in tokens if token != 5)


@often
@given(tokens_of, st.lists(tokens_of, max_size=6), stops())
def test_a_row_takes_tokens_up_to_the_first_that_ends_it(prompt, groups, ends):
    row = Row(0, len(prompt), list(prompt), ends)
    expected, reason = [], None
    for token in [token for group in groups for token in group]:
        if reason is None:
            expected.append(token)
            reason = ends.reason([*prompt, *expected], len(prompt))
    for group in groups:
        if row.finish_reason is None:
            taken = row.commit(group)
            assert taken == group[: len(taken)]
    assert (row.new_tokens, row.finish_reason) == (expected, reason)
    assert row.tokens == prompt + expected


@often
@given(tokens_of, st.integers(1, 9), st.integers(0, 9))
def test_the_budget_counts_down_to_nothing_at_the_last_token(prompt, most, spare):
    ends = Stops(most, len(prompt) + 1 + spare)
    row = Row(0, len(prompt), list(prompt), ends)
    total = row.budget
    assert total == min(most, 1 + spare)
    for left in range(total, 0, -1):
        assert row.finish_reason is None
        assert row.budget == left
        row.commit([0])
    assert row.budget == 0
    assert row.finish_reason == ("length" if most <= 1 + spare else "context")


@pytest.mark.parametrize(
    ("tokens", "string"),
    [
        ([0, 1, 2], "c"),
        ([0, 1, 2], "bc"),
        ([0, 1, 5, 5, 2], "bc"),
        ([1, *[5] * 30, 2], "bc"),
        ([0, 1, 2], "abc"),
    ],
)
def test_a_stop_string_ends_the_row_where_it_is_complete(tokens, string):
    ends = Stops(99, 999, strings=("zzz", string), decode=text)
    prompt = [0, 1, 2, 3]
    reasons = [
        ends.reason([*prompt, *tokens[:end]], len(prompt)) for end in range(1, len(tokens) + 1)
    ]
    assert reasons == [None] * (len(tokens) - 1) + ["stop"]


def test_a_stop_string_may_not_begin_in_the_prompt():
    ends = Stops(99, 999, strings=("ab",), decode=text)
    assert ends.reason([0, 1], 1) is None
    assert ends.reason([0, 0, 1], 1) == "stop"


def test_criteria_see_all_tokens_and_reasons_have_an_order():
    seen = []
    ends = Stops(2, 4, eos=frozenset({5}), criteria=(lambda tokens: seen.append(list(tokens)),))
    row = Row(0, 2, [1, 2], ends)
    row.commit([3])
    assert seen == [[1, 2, 3]]
    row.commit([5])
    assert row.finish_reason == "eos"
    assert Stops(1, 3, criteria=(bool,)).reason([1, 2, 3], 2) == "criteria"
    assert Stops(1, 3).reason([1, 2, 3], 2) == "length"
    assert Stops(2, 3).reason([1, 2, 3], 2) == "context"


@often
@given(
    st.lists(st.tuples(tokens_of, st.integers(1, 9)), min_size=1, max_size=3),
    st.lists(st.integers(0, 6), min_size=1, max_size=3),
    st.integers(0, 5),
)
def test_the_room_is_the_least_of_limit_budget_and_what_the_drafter_can(rows, limits, most):
    target, table = Target(TableEngine(Table())), Table()
    drafter = TreeDrafter(table, [])
    drafter.most_levels = most
    batch = make_rows([prompt for prompt, _ in rows], [Stops(n, 1000) for _, n in rows])
    target.prefill(batch, Sampler(), Needs())
    drafter.start(target, batch, None)
    left = [row for row in batch.active if row.finish_reason is None]
    goes_on = leave(batch, target, drafter, PlannedLimits(limits), Sampler())
    assert goes_on == bool(left)
    assert batch.active == left
    for row in left:
        # The round's last token is the target's own: it takes one of the budget.
        expected = min(limits[row.index % len(limits)], most, row.stops.max_new_tokens - 2)
        assert row.room == max(0, expected)


class Remembers:
    """Remember which rows were kept."""

    def __init__(self):
        self.kept = []

    def keep(self, kept):
        self.kept.append(kept)


@pytest.mark.parametrize("finished", [(), (0,), (1,), (2,), (0, 2), (0, 1), (0, 1, 2)])
def test_all_who_hold_rows_are_told_which_are_left(finished):
    target, drafter, sampler = Target(TableEngine(Table())), TreeDrafter(Table(), []), Remembers()
    batch = make_rows([[1], [2], [3]], [Stops(1 if i in finished else 9, 99) for i in range(3)])
    target.prefill(batch, Sampler(), Needs())
    kept = [i for i in range(3) if i not in finished]
    assert leave(batch, target, drafter, FixedPolicy(FixedOptions()), sampler) == bool(kept)
    assert batch.indices == kept
    assert sampler.kept == ([kept] if kept and finished else [])
    assert len(target.engine.cells[0]) == (len(kept) or 3)


@pytest.mark.parametrize("policy", [FixedPolicy(FixedOptions(steps=4)),
                                    ConfidencePolicy(ConfidenceOptions(steps=4))])  # fmt: skip
def test_every_row_may_draft_as_many_levels_as_the_option_says(policy):
    assert policy.limit(make_rows([[1], [2]], Stops(1, 9))) == [4, 4]


def test_confidence_ends_drafting_after_a_token_below_the_threshold():
    policy = ConfidencePolicy(ConfidenceOptions(threshold=0.5))
    probs = torch.tensor([[0.49, 0.26, 0.25], [0.5, 0.25, 0.25], [0.9, 0.05, 0.05]]).double()
    step = Step(1, probs.log(), torch.ones(3, dtype=torch.bool))
    assert policy.before(step) is None
    assert policy.after(step).tolist() == [True, False, False]

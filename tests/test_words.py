"""Words and figures that messages share."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specframe._words import counted, dtype_name, first_difference, number, percent, times

tokens = st.lists(st.integers(0, 2), max_size=6)


def test_nothing_divided_by_nothing_is_not_a_number():
    assert (number(None), percent(None), times(None)) == ("n/a", "n/a", "n/a")


def test_figures_are_rounded():
    assert (number(1.26), number(1.256, 2), percent(0.126), times(1.526)) == (
        "1.3",
        "1.26",
        "12.6%",
        "1.53x",
    )


@pytest.mark.parametrize(("many", "said"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows")])
def test_one_thing_has_no_plural(many, said):
    assert counted(many, "row") == said


def test_a_dtype_is_named_as_it_is_typed():
    assert dtype_name(torch.bfloat16) == dtype_name("bfloat16") == "bfloat16"


@given(tokens, tokens)
def test_the_first_difference_is_the_first_place_where_one_side_differs_or_ends(one, other):
    pairs = enumerate(itertools.zip_longest(one, other))
    expected = next((at for at, (ours, theirs) in pairs if ours != theirs), None)
    assert first_difference(one, other) == expected

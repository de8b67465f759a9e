"""The drafter of ten lines keeps the rules, and guesses what it says it guesses."""

from specframe.testing import StrategyConformance
from specframe_last_time._drafter import LastTime


class TestConformance(StrategyConformance):
    strategy = "last-time"


def test_what_followed_the_last_two_tokens_is_guessed():
    assert LastTime().guess([7, 1, 2, 8, 9, 1, 2], 3) == [8, 9, 1]


def test_the_latest_place_counts():
    assert LastTime().guess([1, 2, 8, 1, 2, 9, 1, 2], 1) == [9]


def test_no_more_is_guessed_than_there_is_room_for():
    assert LastTime().guess([1, 2, 8, 9, 1, 2], 1) == [8]


def test_tokens_that_never_stood_side_by_side_lead_to_no_guess():
    assert LastTime().guess([1, 2, 3], 5) == []
    assert LastTime().guess([1], 5) == []

"""The policy keeps the rules with a drafter that it stops, and stops where it says it stops."""

from typing import ClassVar

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import specframe
from specframe import Row, Rows, Step, Stops
from specframe.testing import StrategyConformance
from specframe_joint_confidence import JointConfidenceOptions
from specframe_joint_confidence._policy import JointConfidence

CONFIDENCES = st.lists(st.floats(0.3, 0.99), min_size=1, max_size=6)


class TestConformance(StrategyConformance):
    strategy = "early-exit"
    options: ClassVar = {"exit_layer": 1}
    stop_policy = "joint-confidence"
    level = "full"


def step(level, confidences, *, scores=None):
    """Return a level whose top-1 probability is the given one in each row, of two tokens."""
    probs = torch.tensor(confidences, dtype=torch.float64)
    logits = torch.stack([probs, 1 - probs], dim=-1).log()
    rows = torch.ones(len(confidences), dtype=torch.bool)
    return Step(level, logits, rows, scores=None if scores is None else torch.tensor(scores))


@settings(deadline=None)
@given(CONFIDENCES, st.floats(0.05, 0.95))
def test_drafting_ends_at_the_first_level_whose_product_is_below_the_bound(confidences, least):
    policy, product = JointConfidence(JointConfidenceOptions(least=least)), 1.0
    for level, confidence in enumerate(confidences, start=1):
        shown = max(confidence, 1 - confidence)
        product *= shown
        assume(abs(product - least) > 1e-9)
        assert policy.after(step(level, [confidence])).tolist() == [product < least]


def test_every_row_has_a_product_of_its_own():
    policy = JointConfidence(JointConfidenceOptions(least=0.5))
    assert policy.after(step(1, [0.9, 0.6])).tolist() == [False, False]
    assert policy.after(step(2, [0.9, 0.6])).tolist() == [False, True]


def test_a_new_round_begins_a_new_product():
    policy = JointConfidence(JointConfidenceOptions(least=0.5))
    assert policy.after(step(1, [0.6])).tolist() == [False]
    assert policy.after(step(2, [0.6])).tolist() == [True]
    assert policy.after(step(1, [0.6])).tolist() == [False]


def test_the_score_of_a_trees_best_path_is_taken_as_it_is():
    policy = JointConfidence(JointConfidenceOptions(least=0.5))
    assert policy.after(step(1, [0.6], scores=[0.8])).tolist() == [False]
    assert policy.after(step(2, [0.6], scores=[0.7])).tolist() == [False]
    assert policy.after(step(3, [0.6], scores=[0.6])).tolist() == [False]
    assert policy.after(step(4, [0.6], scores=[0.4])).tolist() == [True]


def test_the_steps_bound_every_row():
    policy = JointConfidence(JointConfidenceOptions(steps=3))
    rows = Rows([Row(0, 1, [1, 2], Stops(9, 100)), Row(1, 1, [1, 2], Stops(9, 100))])
    assert policy.limit(rows) == [3, 3]


@pytest.mark.parametrize("options", [{"least": 1.1}, {"least": float("nan")}, {"steps": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(specframe.OptionError):
        JointConfidenceOptions(**options)

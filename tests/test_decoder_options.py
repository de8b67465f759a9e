"""Names and options that load refuses, and what it says of them."""

import pytest

import specframe
from specframe import OptionError, SequenceDrafter, UnknownNameError

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def model(tiny):
    return tiny.model()


@pytest.fixture(scope="module")
def adapter(tiny, model, tmp_path_factory):
    return tiny.adapter(tmp_path_factory.mktemp("adapter"), model, exit_layer=2)


def test_an_unknown_name_lists_what_there_is_and_the_nearest(model):
    for argument, kind in (
        ("strategy", "strategy"),
        ("verifier", "verifier"),
        ("stop_policy", "stop policy"),
    ):
        near = {"strategy": "kangaro", "verifier": "gredy", "stop_policy": "confidance"}[argument]
        with pytest.raises(UnknownNameError) as caught:
            specframe.load(model, **{"strategy": "none", argument: near})
        message = str(caught.value)
        assert f"unknown {kind} '{near}'" in message
        assert {"kangaro": "kangaroo", "gredy": "greedy"}.get(near, "confidence") in message
        assert "did you mean" in message.lower()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"step": 3}, ["strategy 'kangaroo'", "'step'", "steps"]),
        ({"steps": 0}, ["'steps'", ">= 1", "got 0"]),
        ({"steps": 1.5}, ["'steps'", "whole number", "1.5"]),
        ({"threshold": -0.1}, ["'threshold'", "-0.1"]),
        ({"threshold": float("nan")}, ["'threshold'", "nan"]),
        ({"exit_layer": 0}, ["'exit_layer'", ">= 1"]),
        ({"exit_layer": 4}, ["'exit_layer'", "number of layers, 4", "got 4"]),
        ({"stop.step": 3}, ["stop policy 'confidence'", "'step'", "steps"]),
        ({"stop.threshold": -1}, ["'threshold'", "-1"]),
        ({"verifier.width": 3}, ["verifier.width", "no verifier is named"]),
        ({"drafter.steps": 3}, ["'drafter.steps'", "'verifier.'", "'stop.'"]),
    ],
    ids=str,
)
def test_a_bad_option_is_named_with_its_owner_and_what_it_takes(model, adapter, options, words):
    with pytest.raises(OptionError) as caught:
        specframe.load(model, options={"adapter": adapter, **options})
    for word in words:
        assert word in str(caught.value)


def test_options_for_an_instance_are_refused(model):
    class Silent(SequenceDrafter):
        def guess(self, tokens, room):
            return []

    with pytest.raises(OptionError, match="steps were given together with a drafter"):
        specframe.load(model, strategy=Silent(), options={"steps": 3})

"""Options: what is read, what is refused, and in which words."""

import re
from pathlib import Path
from typing import Literal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as some

from specframe._errors import OptionError
from specframe._plugins.option_faults import refuse_broken_options
from specframe._plugins.options import (
    at_least,
    at_most,
    describe_options,
    not_nan,
    not_negative,
    option,
    structure_options,
)

OWNER = "strategy 'kangaroo'"


@attrs.frozen
class Options:
    steps: int | None = option(None, help="levels", unit="tokens", check=at_least(1))
    threshold: float = option(0.6, help="confidence", check=not_negative)
    tree: bool = option(False, help="draft a tree")
    adapter: str | None = option(None, help="folder of the adapter")
    reference: Path | None = option(None, help="a file")
    match: Literal["latest", "longest"] = option("latest", help="which match")


def read(**values):
    return structure_options(Options, values, owner=OWNER)


def message(**values):
    with pytest.raises(OptionError) as caught:
        read(**values)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "given_value", "value"),
    [
        ("steps", "4", 4),
        ("steps", 4, 4),
        ("steps", 4.0, 4),
        ("steps", " 4 ", 4),
        ("steps", "none", None),
        ("steps", "None", None),
        ("steps", None, None),
        ("threshold", "0.6", 0.6),
        ("threshold", 1, 1.0),
        ("threshold", "1e-3", 0.001),
        ("tree", "true", True),
        ("tree", "No", False),
        ("tree", True, True),
        ("tree", "0", False),
        ("adapter", "folder", "folder"),
        ("adapter", Path("folder"), "folder"),
        ("adapter", "4", "4"),
        ("reference", "notes.txt", Path("notes.txt")),
        ("match", "longest", "longest"),
    ],
    ids=repr,
)
def test_strings_and_typed_values_mean_the_same(name, given_value, value):
    read_value = getattr(read(**{name: given_value}), name)
    assert read_value == value
    assert type(read_value) is type(value) or isinstance(value, Path)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("steps", "four", "a whole number >= 1, got 'four'"),
        ("steps", 4.5, "a whole number >= 1, got 4.5"),
        ("steps", "4.5", "a whole number >= 1, got '4.5'"),
        ("steps", True, "a whole number >= 1, got True"),
        ("steps", 0, "a whole number >= 1, got 0"),
        ("steps", [4], "a whole number >= 1, got [4]"),
        ("steps", "", "a whole number >= 1, got ''"),
        ("threshold", "high", "a number >= 0, got 'high'"),
        ("threshold", -0.1, "a number >= 0, got -0.1"),
        ("threshold", "nan", "a number >= 0, got 'nan'"),
        ("threshold", float("nan"), "a number >= 0, got nan"),
        ("threshold", False, "a number >= 0, got False"),
        ("threshold", None, "a number >= 0, got None"),
        ("tree", "maybe", "true or false, got 'maybe'"),
        ("tree", 1, "true or false, got 1"),
        ("adapter", 4, "text, got 4"),
        ("reference", 4, "a path, got 4"),
        ("match", "first", "latest or longest, got 'first'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(name, value, expected):
    assert message(**{name: value}) == f"option '{name}' of {OWNER} must be {expected}"


def test_an_unknown_option_lists_the_known_ones_and_the_nearest():
    assert message(step=4) == (
        "strategy 'kangaroo' has no option 'step': did you mean 'steps'? "
        "Options: adapter, match, reference, steps, threshold, tree."
    )


def test_an_owner_without_options_says_so():
    assert structure_options(None, {}, owner="strategy 'none'") is None
    with pytest.raises(OptionError, match="strategy 'none' takes no options, got 'steps'"):
        structure_options(None, {"steps": 4}, owner="strategy 'none'")


def test_a_needed_option_that_is_missing_is_named_with_its_help():
    @attrs.frozen
    class Needed:
        exit_layer: int = option(help="layers that draft", check=at_least(1))

    with pytest.raises(OptionError, match="needs option 'exit_layer': layers that draft"):
        structure_options(Needed, {}, owner="strategy 'early-exit'")
    assert describe_options(Needed)[0].default == "needed"


def test_a_range_holds_however_the_object_is_made():
    with pytest.raises(OptionError, match="option 'steps' must be >= 1, got 0"):
        Options(steps=0)


def test_options_that_do_not_fit_together_are_refused():
    @attrs.frozen
    class Together:
        low: int = option(0, help="low")
        high: int = option(1, help="high")

        def __attrs_post_init__(self):
            if self.low > self.high:
                raise ValueError("low lies above high")

    with pytest.raises(OptionError, match=r"options of verifier 'x' do not fit.*low lies above"):
        structure_options(Together, {"low": "3"}, owner="verifier 'x'")


def test_a_plain_attrs_class_serves_as_options_too():
    @attrs.frozen
    class Plain:
        steps: int = 3

    assert structure_options(Plain, {"steps": "5"}, owner=OWNER) == Plain(5)
    assert describe_options(Plain) == [("steps", "a whole number", "3", None, "")]


def test_options_are_described_in_the_words_that_messages_use():
    assert describe_options(Options)[:3] == [
        ("steps", "a whole number >= 1 or none", "none", "tokens", "levels"),
        ("threshold", "a number >= 0", "0.6", None, "confidence"),
        ("tree", "true or false", "false", None, "draft a tree"),
    ]
    assert describe_options(None) == []


def test_the_ready_checks_refuse_nan():
    nan = float("nan")
    assert not any(check.holds(nan) for check in (at_least(0), at_most(1), not_nan, not_negative))
    assert at_most(1).holds(1)


@given(some.integers(1, 10**9), some.floats(0, 1e9))
def test_the_text_of_a_value_reads_back_as_the_value(steps, threshold):
    assert read(steps=str(steps), threshold=repr(threshold)) == read(
        steps=steps, threshold=threshold
    )


@given(some.text())
def test_any_text_is_read_or_refused_with_an_option_error(text):
    for name in ("steps", "threshold", "tree", "match"):
        try:
            read(**{name: text})
        except OptionError as error:
            assert f"option '{name}' of {OWNER}" in str(error)  # noqa: PT017 (both ways are fine)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("steps = option(6, help='x')", "option 'steps' of Bad has no type"),
        ("steps: list[int] = option(help='x')", "a type that cannot be typed in, list[int]"),
        ("steps: int | str = option(6, help='x')", "a type that cannot be typed in, int | str"),
        (
            "steps: 'Nowhere' = option(6, help='x')",
            "types of Bad cannot be read: name 'Nowhere'",
        ),
        ("steps: int = option('6', help='x')", "must be a whole number, got '6'"),
        ("steps: int = option(True, help='x')", "must be a whole number, got True"),
        ("steps: int = option(None, help='x')", "must be a whole number, got None"),
        (
            "steps: int = option(0, help='x', check=at_least(1))",
            "the default of option 'steps' of Bad must be a whole number >= 1, got 0",
        ),
        ("way: Literal['a', 'b'] = option('c', help='x')", "must be a or b, got 'c'"),
    ],
)
def test_an_options_class_that_nobody_could_use_is_its_authors_fault(field, words):
    names = {"attrs": attrs, "option": option, "at_least": at_least, "Literal": Literal}
    exec(f"@attrs.frozen\nclass Bad:\n    {field}\n", names)
    with pytest.raises(ValueError, match=re.escape(words)):
        refuse_broken_options(names["Bad"])


def test_every_kind_of_option_may_have_its_default():
    @attrs.frozen
    class Good:
        needed: int = option(help="x")
        number: float = option(1, help="x", check=at_least(1))
        path: Path | None = option(None, help="x")
        text: str | None = option("a", help="x")
        made: bool = option(attrs.Factory(bool), help="x")
        way: Literal["a", "b"] | None = option("b", help="x")
        own: dict[str, int] = attrs.field(factory=dict)  # no option: set from Python alone

    refuse_broken_options(Good)

"""The arguments of ``decode``, listed once: what help() shows, what is refused, one-call form."""

import inspect

import attrs
import pytest

import specframe
from specframe import Decoder, Draft, Rows, StopPolicy, Stops, Target
from specframe._decoder.arguments import DecodeArguments, StreamArguments, refuse_unknown
from specframe._decoder.request import Request
from specframe.testing import Table, TableEngine, make_rows

CALLS = [(Decoder.decode, DecodeArguments), (Decoder.stream, StreamArguments)]


@pytest.mark.parametrize(("call", "arguments"), CALLS)
def test_help_shows_every_argument_with_the_default_that_a_request_has(call, arguments):
    shown = dict(list(inspect.signature(call).parameters.items())[2:])
    assert list(shown) == list(arguments.__annotations__)
    defaults = {field.name: field.default for field in attrs.fields(Request) if field.init}
    assert {name: each.default for name, each in shown.items()} == {
        name: defaults[name] for name in shown
    }
    assert all(each.kind is each.KEYWORD_ONLY for each in shown.values())


def test_a_request_holds_what_may_be_asked_and_nothing_else():
    fields = {field.name for field in attrs.fields(Request) if field.init}
    assert fields == set(DecodeArguments.__annotations__)


def test_the_one_call_form_takes_what_load_and_decode_take():
    shown = inspect.signature(specframe.decode).parameters
    of_load = inspect.signature(specframe.load).parameters
    assert list(shown) == ["prompt", *of_load, *DecodeArguments.__annotations__]
    assert all(shown[name].default == each.default for name, each in of_load.items())
    assert shown["strategy"].default == "kangaroo"
    assert shown["max_new_tokens"].default == 128


def test_an_argument_that_there_is_not_is_refused_as_python_would_with_the_nearest_name():
    with pytest.raises(TypeError) as caught:
        refuse_unknown({"max_tokens": 3}, DecodeArguments, "decode")
    assert str(caught.value) == (
        "decode() got an unexpected keyword argument 'max_tokens': did you mean 'max_new_tokens'?"
    )


def test_a_stream_is_followed_by_its_caller_and_takes_no_streamer():
    with pytest.raises(TypeError, match="unexpected keyword argument 'streamer'"):
        refuse_unknown({"streamer": 1}, StreamArguments, "stream")


@pytest.mark.models
def test_the_one_call_form_gives_what_a_decoder_gives():
    asked = {"max_new_tokens": 8, "temperature": 0.7, "seed": 3}
    with specframe.load(strategy="prompt-lookup", options={"steps": 3}) as decoder:
        expected = decoder.decode(["import os", "def main("], **asked)
    found = specframe.decode(
        ["import os", "def main("], strategy="prompt-lookup", options={"steps": 3}, **asked
    )
    assert [each.token_ids for each in found] == [each.token_ids for each in expected]
    one = specframe.decode("import os", strategy="none", max_new_tokens=4)
    assert isinstance(one, specframe.Result)
    assert len(one.token_ids) == 4


@pytest.mark.models
def test_the_one_call_form_refuses_before_it_loads(monkeypatch):
    def load(*_, **__):
        raise AssertionError("it loads")

    monkeypatch.setattr("specframe._decoder.decode_once.load", load)
    with pytest.raises(TypeError, match="did you mean 'max_new_tokens'"):
        specframe.decode("import os", max_tokens=4)


def test_what_was_a_method_answers_with_a_warning():
    draft = Draft.chains([1], [[2, 3]])
    with pytest.warns(DeprecationWarning, match="use specframe.check_draft()") as caught:
        draft.check(5, [2])
    assert caught[0].filename == __file__
    with (
        pytest.warns(DeprecationWarning, match="check_draft"),
        pytest.raises(specframe.PluginError, match="out of vocabulary"),
    ):
        draft.check(2, [2])


def test_rows_that_were_told_to_leave_still_do():
    target = Target(TableEngine(Table()))
    rows: Rows = make_rows([[1, 2], [3]], [Stops(9, 99)] * 2, 0)
    drafter, stop, sampler = specframe.build_drafter("none"), StopPolicy(), specframe.Sampler()
    drafter.prepare(target)
    target.prefill(rows, sampler, drafter.needs)
    rows.active[0].finish_reason = "length"
    with pytest.warns(DeprecationWarning, match="use specframe.leave()"):
        assert rows.leave(target, drafter, stop, sampler)
    assert rows.indices == [1]

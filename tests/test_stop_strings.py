"""Stop strings that begin and end anywhere in the tokens of the demo model's text."""

import pytest

import specframe
from specframe import SequenceDrafter

pytestmark = pytest.mark.models
PROMPT = 'def read_config(path):\n    """Read the'
COUNT = 24


@pytest.fixture(scope="module")
def plain():
    import torch

    torch.set_num_threads(1)
    return specframe.load(strategy="none")


@pytest.fixture(scope="module")
def whole(plain):
    """Return plain decoding's result: code in which a token is several letters."""
    return plain.decode(PROMPT, max_new_tokens=COUNT)


class Oracle(SequenceDrafter):
    """Guess what is known to follow the prompt."""

    def __init__(self, known):
        self.known = known

    def guess(self, tokens, room):
        return self.known[len(tokens) : len(tokens) + room]


@pytest.fixture(scope="module")
def decoders(whole):
    known = whole.prompt_token_ids + whole.token_ids
    always = specframe.load(strategy=Oracle(known), options={"stop.steps": 9})
    return [always, specframe.load()]


def across(pieces):
    """Return strings that begin in one token and end in a later one, and inside of one."""
    found = []
    for at in range(1, len(pieces)):
        before, here = pieces[at - 1], pieces[at]
        found += [before[-1:] + here[:1], before[-2:] + here, here[: max(1, len(here) - 1)]]
    return sorted({text for text in found if text})


def cut(tokenizer, tokens, stops):
    """Return the tokens up to the one that completes a stop string, and the text before it."""
    for end in range(1, len(tokens) + 1):
        text = tokenizer.decode(tokens[:end])
        places = [text.find(stop) for stop in stops if stop in text]
        if places:
            return tokens[:end], text[: min(places)], "stop"
    return tokens, tokenizer.decode(tokens), "length"


def check(decoders, plain, whole, stops):
    tokens, text, reason = cut(plain.tokenizer, whole.token_ids, stops)
    for decoder in decoders:
        result = decoder.decode(PROMPT, max_new_tokens=COUNT, stop=stops)
        assert (result.token_ids, result.finish_reason) == (tokens, reason), stops
        assert result.text == text, stops


def test_a_stop_string_may_lie_anywhere_in_the_tokens(decoders, plain, whole):
    pieces = [plain.tokenizer.decode([token]) for token in whole.token_ids]
    assert max(map(len, pieces)) > 3
    strings = across(pieces)
    assert len({len(cut(plain.tokenizer, whole.token_ids, [one])[0]) for one in strings}) > 9
    for string in strings[::2]:
        check(decoders, plain, whole, [string])


def test_of_several_stop_strings_the_first_that_is_complete_counts(decoders, plain, whole):
    text = whole.text
    for start in range(0, len(text) - 12, 9):
        inner, outer = text[start + 3 : start + 6], text[start : start + 12]
        check(decoders, plain, whole, [outer, inner])
        check(decoders, plain, whole, [text[start : start + 4], text[start + 2 : start + 9], "§"])


def test_a_string_that_never_comes_changes_nothing(decoders, plain, whole):
    check(decoders, plain, whole, [whole.text[-6:] + "never"])


def test_transformers_own_string_criteria_stop_there_too(decoders, plain, whole):
    from transformers import StopStringCriteria

    pieces = [plain.tokenizer.decode([token]) for token in whole.token_ids]
    for string in across(pieces)[::9]:
        tokens, _, reason = cut(plain.tokenizer, whole.token_ids, [string])
        if string in PROMPT:  # theirs begins in the prompt as well
            continue
        criterion = StopStringCriteria(plain.tokenizer, [string])
        for decoder in [plain, *decoders]:
            result = decoder.decode(PROMPT, max_new_tokens=COUNT, stopping_criteria=criterion)
            assert result.token_ids == tokens, string
            assert result.finish_reason == ("criteria" if reason == "stop" else "length")


@pytest.mark.parametrize("temperature", [0.9])
def test_sampled_text_is_cut_where_plain_text_is(decoders, plain, temperature):
    given = {"temperature": temperature, "seed": 7, "max_new_tokens": COUNT}
    whole = plain.decode(PROMPT, **given)
    pieces = [plain.tokenizer.decode([token]) for token in whole.token_ids]
    for string in across(pieces)[::6]:
        tokens, text, reason = cut(plain.tokenizer, whole.token_ids, [string])
        result = decoders[1].decode(PROMPT, stop=[string], **given)
        assert (result.token_ids, result.text) == (tokens, text)
        assert result.finish_reason == reason

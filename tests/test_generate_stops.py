"""Stops at every offset of an accepted path, against transformers' own generate."""

import itertools

import pytest

import specframe
from specframe import SequenceDrafter

pytestmark = pytest.mark.models
PROMPT = [3, 14, 15, 9, 26, 5]
COUNT = 20


@pytest.fixture(scope="module")
def model(tiny):
    return tiny.model(dtype="float64", seed=3, max_position_embeddings=64)


@pytest.fixture(scope="module")
def expected(tiny, model):
    return tiny.generate(model, PROMPT, COUNT)


class Oracle(SequenceDrafter):
    """Guess what is known to follow; all of it, or with every third guess wrong."""

    def __init__(self, known, *, wrong=False):
        self.known, self.wrong = known, wrong

    def guess(self, tokens, room):
        at = len(tokens)
        guesses = self.known[at : at + room]
        if self.wrong:
            guesses = [(one + (at + n) % 3 // 2) % 61 for n, one in enumerate(guesses)]
        return guesses


@pytest.fixture(scope="module")
def decoders(tiny, model, expected, tmp_path_factory):
    """Return decoders whose drafts are never, sometimes and always accepted."""
    adapter = tiny.adapter(tmp_path_factory.mktemp("adapter"), model, exit_layer=2)
    options = {"adapter": adapter, "threshold": 0.0, "steps": 5}
    known = PROMPT + expected
    return {
        "none": specframe.load(model, strategy="none"),
        "kangaroo": specframe.load(model, options=options),
        "oracle": specframe.load(model, strategy=Oracle(known), options={"stop.steps": 7}),
        "erring": specframe.load(model, strategy=Oracle(known, wrong=True)),
    }


def generated(model, criteria=(), eos=None):
    import torch
    from transformers import StoppingCriteriaList

    ids = torch.tensor([PROMPT])
    with torch.inference_mode():
        output = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=COUNT,
            stopping_criteria=StoppingCriteriaList(criteria),
            eos_token_id=eos,
            pad_token_id=0,
        )
    return output[0, len(PROMPT) :].tolist()


def at_length(offset):
    """Stop at a length."""
    return lambda ids, _scores, **_: _answer(ids, ids.shape[1] >= len(PROMPT) + offset)


def at_token(offset, expected):
    """Stop at the token of an offset, or at its first occurrence."""
    return lambda ids, _scores, **_: _answer(ids, int(ids[0, -1]) == expected[offset - 1])


def at_pair(offset, expected):
    """Stop after two tokens in a row."""
    pair = (PROMPT + expected)[len(PROMPT) + offset - 2 :][:2]
    return lambda ids, _scores, **_: _answer(ids, ids[0, -2:].tolist() == pair)


def at_sum(offset, expected):
    """Stop where all tokens add up to a number, as nothing but the whole sequence tells."""
    total = sum(PROMPT + expected[:offset])
    return lambda ids, _scores, **_: _answer(ids, int(ids.sum()) >= total)


def _answer(ids, is_done):
    import torch

    return torch.full((ids.shape[0],), is_done)


@pytest.mark.parametrize("kind", ["length", "token", "pair", "sum"])
def test_custom_criteria_stop_where_generate_stops_at_every_offset(model, expected, decoders, kind):
    for offset in range(1, COUNT + 1):
        criterion = {
            "length": at_length(offset),
            "token": at_token(offset, expected),
            "pair": at_pair(offset, expected),
            "sum": at_sum(offset, expected),
        }[kind]
        cut = generated(model, [criterion])
        for name, decoder in decoders.items():
            result = decoder.decode(PROMPT, max_new_tokens=COUNT, stopping_criteria=criterion)
            assert result.token_ids == cut, (name, offset)
            assert result.finish_reason == "criteria"
            assert result.metrics.num_new_tokens == len(cut)


def test_every_token_may_be_an_end_token(model, expected, decoders):
    for offset in range(COUNT):
        ends = [60, expected[offset]]
        cut = generated(model, eos=ends)
        for name, decoder in decoders.items():
            result = decoder.decode(PROMPT, max_new_tokens=COUNT, eos_token_id=ends)
            assert (result.token_ids, result.finish_reason) == (cut, "eos"), (name, offset)
    assert len(generated(model, eos=[expected[0]])) == 1


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_a_shorter_budget_cuts_the_same_text(decoders, temperature):
    given = {"temperature": temperature, "seed": 5}
    whole = decoders["none"].decode(PROMPT, max_new_tokens=COUNT, **given).token_ids
    for budget, (name, decoder) in itertools.product(range(1, 10), decoders.items()):
        result = decoder.decode(PROMPT, max_new_tokens=budget, **given)
        assert (result.token_ids, result.finish_reason) == (whole[:budget], "length"), name
        drafted = max((len(round.draft_tokens) for round in result.rounds), default=0)
        assert drafted <= max(0, budget - 2)


def test_sampled_text_stops_where_its_plain_text_is_cut(decoders):
    given = {"temperature": 0.9, "seed": 11, "max_new_tokens": COUNT}
    whole = decoders["none"].decode(PROMPT, **given).token_ids
    for offset, (name, decoder) in itertools.product(range(1, COUNT, 3), decoders.items()):
        criterion = at_sum(offset, whole)
        result = decoder.decode(PROMPT, stopping_criteria=[criterion], **given)
        assert (result.token_ids, result.finish_reason) == (whole[:offset], "criteria"), name
        ended = decoder.decode(PROMPT, eos_token_id=whole[offset], **given).token_ids
        assert ended == whole[: whole.index(whole[offset]) + 1], name


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_the_context_window_cuts_the_same_text(decoders, temperature):
    given = {"temperature": temperature, "seed": 5, "max_new_tokens": 100}
    for length in (50, 57, 58, 62, 63):
        prompt = [token % 61 for token in range(length)]
        plain = decoders["none"].decode(prompt, **given)
        fast = decoders["kangaroo"].decode(prompt, **given)
        assert fast.token_ids == plain.token_ids
        assert len(fast.token_ids) == 64 - length
        assert fast.finish_reason == plain.finish_reason == "context"


def test_time_is_a_criterion(decoders):
    from transformers import MaxTimeCriteria

    for decoder in decoders.values():
        enough = decoder.decode(PROMPT, max_new_tokens=5, stopping_criteria=MaxTimeCriteria(99.0))
        assert enough.finish_reason == "length"
        over = decoder.decode(PROMPT, max_new_tokens=5, stopping_criteria=[MaxTimeCriteria(-1.0)])
        assert (len(over.token_ids), over.finish_reason) == (1, "criteria")


def test_a_criterion_with_a_memory_is_asked_once_a_token_in_order(decoders):
    for decoder in decoders.values():
        seen = []

        def counts(ids, _scores, seen=seen):
            seen.append(ids.shape[1] - len(PROMPT))
            return False

        decoder.decode(PROMPT, max_new_tokens=COUNT, stopping_criteria=[counts])
        assert seen == list(range(1, COUNT + 1))

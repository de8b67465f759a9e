"""What a decoder refuses, and whom it names."""

import pytest

import specframe
from specframe import (
    AdapterError,
    Draft,
    Drafter,
    InputError,
    NumericsError,
    PluginError,
    SequenceDrafter,
)

pytestmark = pytest.mark.models
PROMPT = [3, 14, 15]


@pytest.fixture(scope="module")
def model(tiny):
    return tiny.model(max_position_embeddings=48)


@pytest.fixture
def plain(model):
    return specframe.load(model, strategy="none")


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ([], "the prompt is empty"),
        ("text", "came without a tokenizer"),
        ([[1, 2], "text"], "came without a tokenizer"),
        ([[1, 2], []], "the prompt is empty"),
        (list(range(48)), "the prompt has 48 tokens and the model's context window is 48"),
        ([1, 61], "holds 61, which is no token id of this model (0 to 60)"),
        ([1, -1], "holds -1"),
        ([1, 2.5], "holds 2.5"),
        ([True], "holds True"),
    ],
    ids=repr,
)
def test_a_prompt_that_cannot_be_served_is_refused(plain, prompt, words):
    with pytest.raises(InputError) as caught:
        plain.decode(prompt, max_new_tokens=2)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens must be a whole number >= 1, got 0"),
        ({"max_new_tokens": -3}, "got -3"),
        ({"max_new_tokens": 2.5}, "got 2.5"),
        ({"max_new_tokens": True}, "got True"),
        ({"stop": "end"}, "stop must be a list of non-empty strings"),
        ({"stop": [""]}, "stop must be a list of non-empty strings"),
        ({"stop": ["end"]}, "stop strings need a tokenizer"),
        ({"eos_token_id": "x"}, "eos_token_id must be token ids"),
        ({"eos_token_id": [1.5]}, "eos_token_id must be token ids"),
        ({"stop": 5}, "stop must be a list of non-empty strings"),
        ({"stop": None}, "stop must be a list of non-empty strings"),
        ({"eos_token_id": 1.5}, "eos_token_id must be token ids"),
        ({"stopping_criteria": 3}, "stopping_criteria takes functions of (ids, scores), got 3"),
        ({"stopping_criteria": [3]}, "stopping_criteria takes functions of (ids, scores), got 3"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": [1, 2]}, "one for each prompt"),
        ({"max_new_tokens": [5, 6]}, "one for each prompt"),
        ({"max_new_tokens": []}, "max_new_tokens must be a whole number"),
        ({"max_new_tokens": "5"}, "max_new_tokens must be a whole number"),
        ({"seed": "x"}, "seed must be a whole number"),
        ({"seed": []}, "seed must be a whole number"),
        ({"temperature": -0.1}, "temperature must be a number >= 0"),
        ({"temperature": float("nan")}, "temperature must be a number >= 0"),
        ({"temperature": None}, "temperature must be a number >= 0"),
        ({"top_k": -1}, "top_k must be a whole number"),
        ({"top_k": 2.5}, "top_k must be a whole number"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1"),
        ({"min_p": True}, "min_p must be a number from 0 to 1"),
        ({"repetition_penalty": 0}, "repetition_penalty must be a number above 0"),
        ({"logits_processor": [3]}, "logits_processor takes functions of"),
        ({"batch_size": 0}, "batch_size must be a whole number >= 1"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"seed": 2**64}, "seed must be a whole number from 0"),
    ],
    ids=repr,
)
def test_an_argument_that_cannot_be_served_is_refused(plain, arguments, words):
    with pytest.raises(InputError) as caught:
        plain.decode(PROMPT, **arguments)
    assert words in str(caught.value)


def test_stream_takes_one_prompt(plain):
    with pytest.raises(InputError, match="stream takes one prompt"):
        plain.stream([PROMPT, PROMPT])


def test_a_second_call_at_the_same_time_is_refused_in_one_sentence(plain, monkeypatch):
    running = plain.stream(PROMPT, max_new_tokens=5)
    next(running)
    with monkeypatch.context() as patch:
        patch.setattr(
            plain.target, "accept_ahead", None
        )  # what the first has set up stays as it is
        with pytest.raises(InputError, match="serving another call") as caught:
            plain.decode(PROMPT)
    assert "\n" not in str(caught.value)
    rest = [round.committed for round in running]
    assert len(rest) == 4
    assert len(plain.decode(PROMPT, max_new_tokens=2).token_ids) == 2


def test_a_stream_that_was_closed_or_failed_frees_the_decoder(plain):
    running = plain.stream(PROMPT, max_new_tokens=5)
    next(running)
    running.close()
    assert len(running.result.token_ids) == 1
    assert running.result.finish_reason is None

    def fails(_input_ids, _scores):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        plain.decode(PROMPT, stopping_criteria=[fails])
    assert len(plain.decode(PROMPT, max_new_tokens=2).token_ids) == 2


def test_a_closed_decoder_says_so(model):
    with specframe.load(model, strategy="none") as decoder:
        decoder.decode(PROMPT, max_new_tokens=1)
    with pytest.raises(InputError, match="this decoder is closed"):
        decoder.decode(PROMPT)
    decoder.close()


@pytest.mark.parametrize("strategy", ["none", "kangaroo"])
@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("model.layers.2.mlp.down_proj.weight", "layer 2"),
        ("model.embed_tokens.weight", "the embedding"),
        ("lm_head.weight", "the head"),
    ],
)
def test_logits_that_are_not_finite_are_named_with_position_and_layer(
    tiny, tmp_path, strategy, place, name
):
    model = tiny.model()
    options = None
    if strategy == "kangaroo":
        options = {"adapter": tiny.adapter(tmp_path, model), "exit_layer": 1}
    decoder = specframe.load(model, strategy=strategy, options=options)
    model.get_parameter(place).data[:] = float("nan")
    with pytest.raises(NumericsError) as caught:
        decoder.decode(PROMPT, max_new_tokens=4)
    assert "position 2 of row 0" in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("runner", ["eager", "graph"])
def test_logits_that_stop_being_finite_later_are_named_with_their_position(
    tiny, monkeypatch, runner
):
    monkeypatch.setenv("SPECFRAME_RUNNER", runner)
    model = tiny.model()
    expected = tiny.generate(model, PROMPT, 8)
    place = next(p for p in range(1, 8) if expected[p] not in PROMPT + expected[:p])
    decoder = specframe.load(model, strategy="none")
    model.model.embed_tokens.weight.data[expected[place]] = float("inf")
    with pytest.raises(NumericsError, match=f"position {len(PROMPT) + place} of row 0"):
        decoder.decode(PROMPT, max_new_tokens=12)


def test_kangaroo_without_an_adapter_says_how_to_get_one(model):
    with pytest.raises(AdapterError) as caught:
        specframe.load(model)
    assert "specframe train kangaroo" in str(caught.value)
    assert "-o adapter=" in str(caught.value)


def test_an_adapter_of_another_model_is_refused(tiny, model, tmp_path):
    wide = tiny.adapter(tmp_path / "wide", tiny.model(hidden_size=48))
    with pytest.raises(AdapterError, match="hidden size 48 and the model has 32"):
        specframe.load(model, options={"adapter": wide})
    foreign = tiny.adapter(tmp_path / "foreign", model, fingerprint="0" * 16)
    with pytest.raises(AdapterError, match="trained for the base model 0000"):
        specframe.load(model, options={"adapter": foreign})
    own = tiny.adapter(tmp_path / "own", model, fingerprint=specframe.fingerprint(model))
    specframe.load(model, options={"adapter": own})
    with pytest.raises(AdapterError, match="no adapter folder"):
        specframe.load(model, options={"adapter": str(tmp_path / "nowhere")})


def draft_of(tokens, parents=None, sizes=None, **more):
    import torch

    parents = parents or [list(range(-1, len(row) - 1)) for row in tokens]
    sizes = sizes or [len(row) for row in tokens]
    return Draft(torch.tensor(tokens), torch.tensor(parents), torch.tensor(sizes), **more)


MALFORMED = {
    "token 61": lambda root: draft_of([[root, 61]]),
    "token -2": lambda root: draft_of([[root, -2]]),
    "node 1 has parent 1": lambda root: draft_of([[root, 5]], [[-1, 1]]),
    "node 1 has parent 2": lambda root: draft_of([[root, 5, 6]], [[-1, 2, 0]]),
    "node 2 has parent -1": lambda root: draft_of([[root, 5, 6]], [[-1, 0, -1]]),
    "must have parent -1": lambda root: draft_of([[root, 5]], [[0, 0]]),
    "do not belong together": lambda root: draft_of([[root, 5]], [[-1]]),
    "sizes [0]": lambda root: draft_of([[root, 5]], sizes=[0]),
    "sizes [3]": lambda root: draft_of([[root, 5]], sizes=[3]),
    "1 row(s)|2 row": lambda root: draft_of([[root, 5], [root, 5]]),
    "levels": lambda root: draft_of([[root, *range(40)]]),
    "node 0 must hold the root": lambda root: draft_of([[(root + 1) % 61, 5]]),
    "nodes": lambda root: draft_of([[root, *range(30)]], [[-1, *[0] * 30]]),
}


class Careless(Drafter):
    """Return what it was told to return as a draft."""

    def __init__(self, make):
        self._make = make

    def propose(self, rows, stop, sampler):
        return self._make(rows.roots[0])


@pytest.mark.parametrize("words", MALFORMED)
def test_a_malformed_draft_is_named_as_its_drafters_fault(model, words):
    decoder = specframe.load(model, strategy=Careless(MALFORMED[words]))
    with pytest.raises(PluginError) as caught:
        decoder.decode(PROMPT, max_new_tokens=6)
    message = str(caught.value)
    assert message.startswith("drafter Careless: malformed draft")
    assert any(word in message for word in words.split("|"))


def test_a_guess_out_of_vocabulary_is_named_too(model):
    class Wild(SequenceDrafter):
        def guess(self, tokens, room):
            return [99] * room

    with pytest.raises(PluginError, match=r"drafter Wild: malformed draft.*99.*vocabulary"):
        specframe.load(model, strategy=Wild()).decode(PROMPT, max_new_tokens=6)


def test_a_guess_longer_than_the_room_is_cut(tiny, model):
    class Eager(SequenceDrafter):
        def guess(self, tokens, room):
            return [5] * (room + 50)

    result = specframe.load(model, strategy=Eager()).decode(PROMPT, max_new_tokens=6)
    assert result.token_ids == tiny.generate(model, PROMPT, 6)

"""Text in and out: prompts, stop strings across tokens, and deltas that add up."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import specframe
from specframe import InputError, SequenceDrafter

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("tiny")]
SCRIPT = "abcé€d😀ef gh\nij"  # 'ab' and 'ij' are one token each; other letters take their bytes
NAMES = {"<s>": 256, "</s>": 257, "ab": 258, "ij": 259}


@pytest.fixture(scope="module")
def tokenizer():
    """Return a byte-level tokenizer with two merges, and <s> before every prompt."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: index for index, letter in enumerate(letters)} | NAMES
    made = Tokenizer(models.BPE(vocab=vocab, merges=[("a", "b"), ("i", "j")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 256)])
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")


@pytest.fixture(scope="module")
def script(tokenizer):
    """Return the ids of SCRIPT; each of them occurs once."""
    ids = tokenizer(SCRIPT, add_special_tokens=False)["input_ids"]
    assert 258 in ids
    assert 259 in ids
    assert len(ids) == len(set(ids)) == len(SCRIPT.encode()) - 2
    return ids


@pytest.fixture(scope="module")
def model(tiny, script):
    """Return a Llama that recites the script round and round: each token tells the next."""
    import torch

    model = tiny.model(vocab_size=260, hidden_size=64, num_hidden_layers=2)
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.data.zero_()
        layer.mlp.down_proj.weight.data.zero_()
    model.model.norm.weight.data.fill_(1)
    following = dict(zip(script, script[1:] + script[:1], strict=True))
    others = [token for token in range(260) if token not in following]
    following |= dict(zip(others, others[1:] + others[:1], strict=True))
    embedding = model.model.embed_tokens.weight.data
    order = torch.tensor([following[token] for token in range(260)])
    model.lm_head.weight.data[order] = embedding
    return model


class Reciter(SequenceDrafter):
    """Guess the script after the last token, as far as there is room."""

    def __init__(self, script):
        self._script = script

    def guess(self, tokens, room):
        at = self._script.index(tokens[-1]) + 1 if tokens[-1] in self._script else 0
        return (self._script * 9)[at : at + room]


@pytest.fixture(params=["none", "reciter"])
def decoder(request, model, tokenizer, script):
    strategy = Reciter(script) if request.param == "reciter" else "none"
    return specframe.load(model, strategy=strategy, tokenizer=tokenizer)


@pytest.fixture
def prompt(script):
    """Return the token whose successor begins the script."""
    return [script[-1]]


def test_a_str_is_tokenised_with_special_tokens_and_no_template(decoder, tokenizer):
    result = decoder.decode("abc", max_new_tokens=3)
    assert result.prompt_token_ids == tokenizer("abc")["input_ids"]
    assert result.prompt_token_ids[:2] == [256, 258]


def test_an_empty_str_is_refused(decoder):
    with pytest.raises(InputError, match="the prompt is empty"):
        decoder.decode("", max_new_tokens=3)


def test_strs_and_ids_may_stand_in_one_list(decoder, tokenizer):
    ids = tokenizer("abc")["input_ids"]
    one, other = decoder.decode(["abc", ids], max_new_tokens=6)
    assert one.token_ids == other.token_ids
    assert one.text == other.text == SCRIPT[3:6]


def test_the_text_is_that_of_the_new_tokens(decoder, tokenizer, prompt, script):
    result = decoder.decode(prompt, max_new_tokens=len(script))
    assert result.token_ids == script
    assert result.text == tokenizer.decode(script)


def test_special_tokens_are_left_out_of_the_text(decoder):
    result = decoder.decode([255], max_new_tokens=3, eos_token_id=257)
    assert result.token_ids == [256, 257]
    assert (result.text, result.finish_reason) == ("", "eos")


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (["bc"], "a"),
        (["abc"], ""),
        (["c"], "ab"),
        (["é"], "abc"),
        (["b", "€"], "a"),
        (["€d"], "abcé"),
        (["xx", "😀e"], "abcé€d"),
        (["gh\n"], "abcé€d😀ef "),
        (["h\nijk"], None),
    ],
    ids=str,
)
def test_a_stop_string_ends_the_text_before_it(decoder, tokenizer, prompt, stop, text):
    whole = decoder.decode(prompt, max_new_tokens=20)
    result = decoder.decode(prompt, max_new_tokens=20, stop=stop)
    if text is None:
        assert (result.text, result.finish_reason) == (whole.text, "length")
        return
    assert (result.text, result.finish_reason) == (text, "stop")
    assert result.token_ids == whole.token_ids[: len(result.token_ids)]
    kept, told = result.token_ids, tokenizer.decode
    assert any(string in told(kept) for string in stop), "the token that completes it is kept"
    assert not any(string in told(kept[:-1]) for string in stop)


@pytest.mark.parametrize("stop", [[], ["f g"], ["€d"], ["\n"], ["gh\nq", "h\ni"], ["zz"]], ids=str)
def test_the_deltas_add_up_to_the_text_wherever_it_ends(decoder, prompt, stop):
    for budget in range(1, 24):
        stream = decoder.stream(prompt, max_new_tokens=budget, stop=stop)
        deltas = [round.text for round in stream]
        result = stream.result
        assert "".join(deltas) == result.text
        assert not any(string in result.text for string in stop)
        if not stop:
            assert "\ufffd" not in "".join(deltas[:-1]), "half a character may still change"


def test_pieces_tell_drafted_text_from_the_rest(decoder, prompt):
    rounds = list(decoder.stream(prompt, max_new_tokens=18))
    for round in rounds:
        assert "".join(text for text, _ in round.pieces) == round.text
    drafted = sum(is_drafted for round in rounds for _, is_drafted in round.pieces)
    assert (drafted > 0) == (decoder.setup.strategy == "Reciter")


def test_stream_gives_the_prefills_token_first_with_an_empty_draft(decoder, prompt, script):
    stream = decoder.stream(prompt, max_new_tokens=9)
    first = next(stream)
    assert (first.draft_tokens, first.committed, first.accepted) == ([], script[:1], 0)
    assert first.text == "ab"
    rounds = list(stream)
    assert stream.result.rounds == rounds
    assert [token for round in [first, *rounds] for token in round.committed] == script[:9]
    for round in rounds:
        assert len(round.target_tokens) == 1 + len(round.draft_tokens)
        assert round.draft_parents == list(range(-1, len(round.draft_tokens) - 1))
        assert 0 <= round.accepted <= len(round.committed)
        assert set(round.seconds) <= {"prefill", "draft", "verify", "other"}


def test_a_stream_can_be_left_and_still_has_its_result(decoder, prompt, script):
    stream = decoder.stream(prompt, max_new_tokens=30)
    next(stream)
    next(stream)
    stream.close()
    result = stream.result
    assert result.token_ids == script[: len(result.token_ids)]
    assert result.finish_reason is None
    assert result.text


def test_a_tokenizer_in_the_folder_is_found(tiny, model, tokenizer, tmp_path):
    tiny.saved(tmp_path, model)
    assert specframe.load(tmp_path, strategy="none").tokenizer is None
    tokenizer.save_pretrained(tmp_path)
    with specframe.load(tmp_path, strategy="none") as decoder:
        assert decoder.decode("ab", max_new_tokens=3).text == SCRIPT[2:4]


def test_any_bytes_in_any_portions_add_up(tokenizer):
    from specframe import Stops
    from specframe._decoder.request import decode_with
    from specframe._results.streamed_text import TextStream, text_of

    decode = decode_with(tokenizer)
    encode = tokenizer.backend_tokenizer.encode
    texts = st.text(alphabet="ab cé€😀\n", min_size=1, max_size=4)
    ids_of_text = texts.map(lambda text: encode(text, add_special_tokens=False).ids)
    ids = st.lists(ids_of_text | st.integers(0, 259).map(lambda one: [one]), max_size=14)

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(ids, st.lists(texts, max_size=2))
    @example([encode("a€", add_special_tokens=False).ids], ["€"])
    def check(groups, strings):
        row = Stops(99, 99, strings=tuple(strings), decode=decode)
        stream, taken, told = TextStream(decode, strings), [], ""
        for token in (one for group in groups for one in group):
            taken.append(token)
            told += stream.add([token])
            if row.reason(taken, 0) == "stop":
                break
        told += stream.finish()
        assert told == text_of(taken, decode, strings)
        assert not any(string in told for string in strings)

    check()


def test_any_part_of_the_text_may_be_the_stop_string(decoder, prompt, script, tokenizer):
    """Letters of one to four tokens each, so a string ends inside a token's letter or with it."""
    for start in range(len(SCRIPT)):
        for length in (1, 2, 4):
            string = SCRIPT[start : start + length]
            result = decoder.decode(prompt, max_new_tokens=len(script), stop=[string])
            first = next(n for n in range(99) if string in tokenizer.decode(script[:n]))
            assert result.token_ids == script[:first]
            assert (result.text, result.finish_reason) == (SCRIPT[: SCRIPT.find(string)], "stop")


def test_text_is_cut_before_the_stop_string_that_comes_first_in_it():
    """Whichever was named first, and also where both are complete at once."""
    from specframe._results.streamed_text import TextStream, text_of

    def decode(tokens):
        return "".join("ab|cd#ef"[token] for token in tokens)

    for stops in (["#", "|"], ["|", "#"]):
        assert text_of(range(8), decode, stops) == "ab"
        stream = TextStream(decode, stops)
        assert stream.add(range(8)) + stream.finish() == "ab"

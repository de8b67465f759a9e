"""transformers' streamers on a decoder: the prompt, then token by token what was committed."""

import threading

import pytest

import specframe
from specframe import InputError
from specframe._loading.loading import demo_folder

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("tiny")]
PROMPT = 'def read_config(path):\n    """Read the'
COUNT = 24


@pytest.fixture(scope="module")
def decoder():
    with specframe.load() as decoder:
        yield decoder


@pytest.fixture(scope="module")
def expected(decoder):
    return decoder.decode(PROMPT, max_new_tokens=COUNT)


@pytest.fixture(scope="module")
def stock():
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(demo_folder(), dtype=torch.float32)


def test_stop_strings_end_generate_where_they_end_it_alone(decoder, stock, expected):
    import torch
    from transformers import StopStringCriteria

    word = expected.text.split()[2]
    given = {"input_ids": torch.tensor([expected.prompt_token_ids]), "max_new_tokens": COUNT}
    alone = stock.generate(
        **given, do_sample=False, stop_strings=[word], tokenizer=decoder.tokenizer
    )
    ours = stock.generate(
        **given,
        do_sample=False,
        stopping_criteria=[StopStringCriteria(decoder.tokenizer, [word])],
        custom_generate=specframe.custom_generate("prompt-lookup"),
    )
    assert ours.tolist() == alone.tolist()
    assert ours.shape[1] < len(expected.prompt_token_ids) + COUNT


class Listener:
    """Note what is put, and fail on a put if asked to."""

    def __init__(self, fails_at=None):
        self.values, self.ended, self.fails_at = [], 0, fails_at

    def put(self, value):
        if len(self.values) == self.fails_at:
            raise RuntimeError("the other end hung up")
        self.values.append(value.tolist())

    def end(self):
        self.ended += 1


def test_the_prompt_comes_first_and_then_each_token_alone(decoder, expected):
    listener = Listener()
    result = decoder.decode(PROMPT, max_new_tokens=COUNT, streamer=listener)
    assert result.token_ids == expected.token_ids
    assert listener.values[0] == [result.prompt_token_ids]
    assert listener.values[1:] == [[token] for token in result.token_ids]
    assert listener.ended == 1


@pytest.mark.parametrize("skip", [False, True])
def test_a_text_streamer_prints_what_it_prints_for_generate(decoder, stock, capsys, skip):
    import torch
    from transformers import TextStreamer

    decoder.decode(
        PROMPT, max_new_tokens=COUNT, streamer=TextStreamer(decoder.tokenizer, skip_prompt=skip)
    )
    ours = capsys.readouterr().out
    stock.generate(
        torch.tensor([decoder.tokenizer(PROMPT)["input_ids"]]),
        max_new_tokens=COUNT,
        do_sample=False,
        streamer=TextStreamer(decoder.tokenizer, skip_prompt=skip),
    )
    theirs = capsys.readouterr().out
    assert ours == theirs
    assert (PROMPT in ours) is not skip


def test_an_iterator_streamer_is_read_while_the_decoder_runs(decoder, expected):
    from transformers import TextIteratorStreamer

    streamer = TextIteratorStreamer(decoder.tokenizer, skip_prompt=True, timeout=60)
    given = {"max_new_tokens": COUNT, "streamer": streamer}
    thread = threading.Thread(target=decoder.decode, args=(PROMPT,), kwargs=given)
    thread.start()
    text = "".join(streamer)
    thread.join()
    assert text == expected.text


def test_a_streamer_that_fails_leaves_the_decoder_free(decoder, expected):
    with pytest.raises(RuntimeError, match="hung up") as caught:
        decoder.decode(PROMPT, max_new_tokens=COUNT, streamer=Listener(fails_at=3))
    again = decoder.decode(PROMPT, max_new_tokens=COUNT)  # while the traceback is still held
    assert again.token_ids == expected.token_ids
    assert caught.value is not None


def test_nothing_is_put_where_nothing_can_be_decoded(decoder):
    listener = Listener()
    for prompt in ("", [99_999]):
        with pytest.raises(InputError):
            decoder.decode(prompt, streamer=listener)
    assert listener.values == []


def test_a_streamer_of_several_prompts_is_refused(decoder):
    with pytest.raises(InputError, match="streamer shows one prompt's text and 2 prompts"):
        decoder.decode([PROMPT, PROMPT], streamer=Listener())


def test_a_list_of_one_prompt_may_be_streamed(decoder):
    listener = Listener()
    (result,) = decoder.decode([PROMPT], max_new_tokens=COUNT, streamer=listener)
    assert len(listener.values) == 1 + len(result.token_ids)


def test_what_is_no_streamer_is_refused(decoder):
    with pytest.raises(InputError, match="streamer needs the methods put and end"):
        decoder.decode(PROMPT, streamer=print)

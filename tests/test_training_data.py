"""Training data: what is read, what is refused by name, and which positions are trained."""

import json

import pytest

from specframe import InputError
from specframe._errors import OptionError
from specframe.training import (
    Document,
    TokenStream,
    TrainRequest,
    Windows,
    read_documents,
    tokenize,
)

CHAT = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }};{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
# Like reasoning models' templates: what an earlier turn thought is dropped from the history.
FORGETFUL = (
    "{% for m in messages %}<{{ m.role }}>"
    "{% if loop.last and m.role == 'assistant' %}(think){% endif %}{{ m.content }};{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
STRICT = "{{ raise_exception('roles must alternate') }}"


def write_lines(path, *records):
    path.write_text("\n".join(json.dumps(record) for record in records) + "\n")
    return path


def say(*turns):
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_documents(path)
    return str(caught.value)


def test_lines_and_their_places_are_read(tmp_path):
    path = write_lines(
        tmp_path / "a.jsonl", {"text": "one"}, say(("user", "a"), ("assistant", "b"))
    )
    path.write_text("\ufeff" + path.read_text() + "\n  \n")
    text, chat = read_documents(path)
    assert text == Document(f"{path}, line 1", text="one")
    assert [message.role for message in chat.messages] == ["user", "assistant"]
    assert chat.source == f"{path}, line 2"


def test_a_folder_is_read_recursively_in_order(tmp_path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    for name in ("c.md", "a.py", "b/deep/x.txt", "b/x.json", ".git/y.py", "b/empty.py"):
        (tmp_path / name).write_text("" if "empty" in name else name)
    assert [document.text for document in read_documents(tmp_path)] == [
        "a.py",
        "b/deep/x.txt",
        "c.md",
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "this is not JSON"),
        ("[]", "either `text` or `messages`"),
        ("{}", "either `text` or `messages`"),
        ('{"text": "a", "messages": []}', "either `text` or `messages`"),
        ('{"text": 3}', "`text` must be a text"),
        ('{"text": " "}', "`text` must be a text that is not empty"),
        ('{"text": "\\ud800"}', "half a surrogate pair"),
        ('{"messages": "hi"}', "`messages` must be a list"),
        ('{"messages": ["hi"]}', "`messages` must be a list"),
        ('{"messages": [{"role": "assistant"}]}', "`content` must be a text"),
        ('{"messages": [{"role": "assistant", "content": [1]}]}', "`content` must be a text"),
        ('{"messages": [{"role": "user", "content": "a"}]}', "no message is the assistant's"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path, line, words):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n\n' + line + "\n")
    message = refusal(path)
    assert message.startswith(f"{path}, line 3: ")
    assert words in message


def test_bytes_that_are_no_text_are_named(tmp_path):
    (tmp_path / "a.py").write_bytes(b"\xff\xfe")
    assert f"{tmp_path / 'a.py'}: this is not UTF-8" in refusal(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n{"text": "\xff"}\n')
    assert "line 2: this is not UTF-8" in refusal(tmp_path / "a.jsonl")


def test_missing_and_empty_data_are_named(tmp_path):
    assert f"no training data at {tmp_path / 'no'}" in refusal(tmp_path / "no")
    assert f"{tmp_path} holds no text" in refusal(tmp_path)
    (tmp_path / "a.jsonl").write_text("\n")
    assert "it should hold JSON lines" in refusal(tmp_path / "a.jsonl")


def windows_of(learned, length):
    stream = TokenStream()
    stream.ids.extend(range(10, 10 + len(learned)))
    stream.learned.extend(learned)
    return [(list(window.ids), list(window.mask)) for window in Windows(stream, length)]


def test_the_mask_speaks_of_the_next_token_across_windows():
    assert windows_of([1, 0, 1, 1, 1, 1, 0], 3) == [
        ([10, 11, 12], [0, 1, 1]),
        ([13, 14, 15], [1, 1, 0]),
    ]


def test_the_end_is_padded_and_never_trained():
    assert windows_of([1] * 5, 4) == [([10, 11, 12, 13], [1] * 4)]
    assert windows_of([1] * 6, 4)[1] == ([14, 15, 0, 0], [1, 0, 0, 0])


def test_windows_without_anything_to_learn_are_left_out():
    assert windows_of([0] * 4 + [1] * 4, 4) == [
        ([10, 11, 12, 13], [0, 0, 0, 1]),
        ([14, 15, 16, 17], [1, 1, 1, 0]),
    ]
    assert windows_of([1, 0, 0, 0], 2) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("exit_layer", 0),
        ("max_steps", 0),
        ("batch_size", 0),
        ("gradient_accumulation", 0),
        ("sequence_length", 1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("seed", -1),
        ("dtype", "int8"),
        ("device", "tpu"),
    ],
)
def test_a_request_out_of_range_is_named(field, value):
    with pytest.raises(OptionError, match=f"^{field} is .*; give "):
        TrainRequest(model="m", data="d", output="o", **{field: value})


@pytest.fixture(scope="module")
def tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {word: number for number, word in enumerate(["<s>", "</s>", *letters])}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")


def learned_text(stream, tokenizer):
    """Show what is learned, each stretch in brackets."""
    shown = ""
    for token, is_learned in zip(stream.ids, stream.learned, strict=True):
        shown += (
            ("[" if is_learned else "") + tokenizer.decode([token]) + ("]" if is_learned else "")
        )
    return shown.replace("][", "")


def chat_of(tmp_path, *turns):
    return read_documents(write_lines(tmp_path / "chat.jsonl", say(*turns)))


@pytest.mark.models
def test_a_text_keeps_its_bos_and_is_learned_whole(tokenizer):
    stream = tokenize([Document("a", text="ab"), Document("b", text="c")], tokenizer)
    assert learned_text(stream, tokenizer) == "[<s>ab<s>c]"


@pytest.mark.models
def test_eos_closes_a_text_that_no_special_token_opens(tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer.backend_tokenizer, "post_processor", None)
    stream = tokenize([Document("a", text="ab"), Document("b", text="c")], tokenizer)
    assert learned_text(stream, tokenizer) == "[ab</s>c</s>]"


@pytest.mark.models
@pytest.mark.parametrize("is_fast", [True, False])
def test_only_the_assistant_is_learned_and_bos_occurs_once(
    tokenizer, tmp_path, monkeypatch, is_fast
):
    monkeypatch.setattr(tokenizer, "chat_template", CHAT)
    monkeypatch.setattr(type(tokenizer), "is_fast", is_fast)
    turns = (("user", "hé"), ("assistant", "yo é"), ("user", "yo é"), ("assistant", " b "))
    stream = tokenize(chat_of(tmp_path, *turns), tokenizer)
    text = (
        learned_text(stream, tokenizer).replace("\ufffd\ufffd", "é").replace("\ufffd][\ufffd", "é")
    )
    assert text == "<s><user>hé;<assistant>[yo é;]<user>yo é;<assistant>[ b ;]"


@pytest.mark.models
def test_a_template_that_rewrites_the_history_still_shows_the_words(
    tokenizer, tmp_path, monkeypatch
):
    monkeypatch.setattr(tokenizer, "chat_template", FORGETFUL)
    turns = (("user", "b"), ("assistant", "b"), ("user", "b"), ("assistant", "c"))
    text = learned_text(tokenize(chat_of(tmp_path, *turns), tokenizer), tokenizer)
    assert text == "<user>b;<assistant>[b];<user>b;<assistant>[(think)c;]"


@pytest.mark.models
def test_a_missing_chat_template_is_named(tokenizer, tmp_path):
    with pytest.raises(InputError, match=r"line 1: the model's tokenizer has no chat template"):
        tokenize(chat_of(tmp_path, ("user", "a"), ("assistant", "b")), tokenizer)


@pytest.mark.models
@pytest.mark.parametrize(
    ("template", "words"),
    [(STRICT, r"refuses the conversation \(roles must alternate\)"), ("x", "rewrites message 2")],
)
def test_a_template_that_refuses_is_named(tokenizer, tmp_path, monkeypatch, template, words):
    monkeypatch.setattr(tokenizer, "chat_template", template)
    with pytest.raises(InputError, match=rf"line 1: the chat template {words}"):
        tokenize(chat_of(tmp_path, ("user", "a"), ("assistant", "b")), tokenizer)

"""Traces as files: what is written is what happened, and what is read is checked."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import specframe
import trace_records
from specframe import InputError
from specframe._trace import TraceFile, check_path, read_trace
from specframe._trace.reading import trace_of
from specframe._trace.token_texts import TokenTexts
from specframe._trace.tokens import chunks_of, counts_of, tokens_of
from specframe._trace.visible_text import named, shown
from specframe.cli import main
from specframe.cli._json import versions

ASKED = ["strategy", "options", "verifier", "stop_policy", "model", "dtype", "device", "seed"]


@pytest.fixture(scope="module")
def tokenizer():
    """Return a tokenizer of bytes, so that most characters of a text are several tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: index for index, letter in enumerate(letters)} | {"</s>": 256}
    made = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>")


@pytest.fixture(scope="module")
def folder(tiny, tokenizer, tmp_path_factory):
    """Return the folder of a tiny model that speaks bytes."""
    folder = tmp_path_factory.mktemp("model")
    model = tiny.model(vocab_size=257)
    # Drafting from the first layers is then often right, and often wrong.
    model.model.embed_tokens.weight.data *= 2
    tokenizer.save_pretrained(folder)
    return tiny.saved(folder, model)


@pytest.fixture
def decode(folder):
    return [
        "decode", "-m", str(folder), "--strategy", "early-exit", "-o", "exit_layer=2",
        "-o", "threshold=0", "hello w\u00f6rld", "--max-new-tokens", "24", "--seed", "3",
    ]  # fmt: skip


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.models
@pytest.mark.parametrize("heat", ["0", "0.9"])
def test_a_trace_says_what_the_decode_did_and_changes_nothing(decode, tmp_path, capsys, heat):
    asked = [*decode, "--temperature", heat, "--json", "--compare"]
    assert main(asked) == 0
    plain = json.loads(capsys.readouterr().out)
    path = tmp_path / "run.jsonl"
    assert main([*asked, "--trace", str(path)]) == 0
    said = capsys.readouterr()
    shown_result = json.loads(said.out)
    assert f"the trace is in {path}" in said.err
    assert shown_result["token_ids"] == plain["token_ids"]
    first, *rounds, last = lines_of(path)
    assert [line["kind"] for line in (first, last)] == ["header", "end"]
    assert {key: first[key] for key in ASKED} == {key: plain[key] for key in ASKED}
    assert first["prompt"] == "hello w\u00f6rld"
    assert first["prompt_token_ids"] == plain["prompt_token_ids"]
    assert [token for line in rounds for token in line["committed"]] == plain["token_ids"]
    assert "".join(text for line in rounds for text in line["committed_texts"]) == plain["text"]
    assert last["finish_reason"] == plain["finish_reason"]
    assert last["metrics"]["num_new_tokens"] == plain["metrics"]["num_new_tokens"]
    assert (
        sum(len(line["path"]) for line in rounds) == plain["metrics"]["num_accepted_draft_tokens"]
    )
    for line in rounds[1:]:
        assert [line["draft_tokens"][node] for node in line["path"]] == line["committed"][
            : len(line["path"])
        ]
        assert all(0 <= p <= 1 for p in [*line["draft_p"], *line["draft_q"], *line["committed_p"]])
    assert read_trace(path).token_ids == plain["token_ids"]


@pytest.mark.models
def test_the_page_of_a_decode_is_that_of_its_lines(decode, tmp_path, capsys):
    page, lines = tmp_path / "run.html", tmp_path / "run.jsonl"
    assert main([*decode, "--trace", str(page)]) == 0
    assert main([*decode, "--trace", str(lines)]) == 0
    assert main(["trace", "view", str(lines), "--output", str(tmp_path / "later.html")]) == 0
    assert capsys.readouterr().out.endswith(f"{tmp_path / 'later.html'}\n")
    # Times differ from run to run: what is compared is the text with its marks.
    flows = [
        each.read_text(encoding="utf-8").split('<div class="flow"')[1].split("</section>")[0]
        for each in (page, tmp_path / "later.html")
    ]
    assert flows[0] == flows[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "later.html",
        "run.html",
        "run.jsonl",
    ]


def test_a_trace_without_a_tokenizer_has_ids_alone(tiny, tmp_path):
    decoder = specframe.load(tiny.model(), strategy="none")
    path = tmp_path / "ids.jsonl"
    stream = decoder.stream([1, 2, 3], max_new_tokens=4, output_probs=True)
    with TraceFile(path, None) as file:
        file.begin("", stream.result, decoder.setup, {"limits": {}, "versions": versions()})
        for round in stream:
            file.add(round)
        file.end(stream.result)
    trace = read_trace(path)
    assert trace.token_ids == stream.result.token_ids
    assert [token.text for token in tokens_of(trace)] == [f"[{token}]" for token in trace.token_ids]
    assert counts_of(tokens_of(trace)) == {"plain": 3, "prefill": 1}


@pytest.mark.models
def test_a_decode_that_is_cut_off_leaves_its_rounds(decode, tmp_path, monkeypatch):
    """A fault in the middle: the lines until then are there, and there is no page."""
    from specframe.cli import _run_prompt

    def fail(rounds, _):
        next(rounds)
        next(rounds)
        raise InputError("gone")

    monkeypatch.setattr(_run_prompt, "follow", fail)
    path, page = tmp_path / "run.jsonl", tmp_path / "run.html"
    for each in (path, page):
        assert main([*decode, "--trace", str(each)]) == 2
    assert not page.exists()
    trace = read_trace(path)
    assert len(trace.rounds) == 2
    assert trace.end is None


@pytest.mark.models
def test_a_decode_that_is_interrupted_has_a_page_of_what_was_decoded(decode, tmp_path, monkeypatch):
    from specframe.cli import _run_prompt

    def interrupt(rounds, _):
        next(rounds)
        next(rounds)
        return False  # as it does on Ctrl-C

    monkeypatch.setattr(_run_prompt, "follow", interrupt)
    page = tmp_path / "run.html"
    assert main([*decode, "--trace", str(page)]) == 130
    text = page.read_text(encoding="utf-8")
    assert '<dd dir="auto">interruption</dd>' in text
    assert text.endswith("</html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trace", "run.txt"], "name a file that ends in .html or .jsonl"),
        (["--trace", "nowhere/run.html"], "there is no folder nowhere"),
        (
            ["--trace", "run.html", "--prompts", "p.jsonl", "--output", "o.jsonl"],
            "--trace cannot be given beside --prompts",
        ),
    ],
)
def test_a_trace_that_cannot_be_is_refused_before_anything_is_decoded(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    prompt = [] if "--prompts" in arguments else ["hello"]
    assert main(["decode", *prompt, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file_for_a_trace(tmp_path):
    (tmp_path / "run.html").mkdir()
    with pytest.raises(InputError, match="which is a folder"):
        check_path(tmp_path / "run.html")


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_dropped(tmp_path, cut):
    path = trace_records.written(tmp_path / "run.jsonl", trace_records.small()[:-1])
    whole = read_trace(path)
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_trace(path).rounds == whole.rounds[:-1]


def changed(line, **changes):
    lines = copy.deepcopy(trace_records.small())
    lines[line].update(changes)
    return lines


DAMAGED = {
    "nothing": ([], "its first line should be a header"),
    "no header": (trace_records.small()[1:], "its first line should be a header"),
    "a list": ([[1]], "its first line should be a header"),
    "another schema": (changed(0, schema=2), "has schema 2 and this specframe reads schema 1"),
    "no seed": ([{"kind": "header", "schema": 1}], "line 1 is damaged: '.*' is missing"),
    "a kind": (changed(2, kind="turn"), "line 3 is damaged: it is neither a round nor the end"),
    "a gap": (trace_records.small()[:2] + trace_records.small()[3:], "round 1 is missing"),
    "lengths": (changed(2, draft_p=[0.5]), "draft_p has 1 entries and should have 3"),
    "parents": (changed(2, draft_parents=[0, 0, 0]), "does not stand before its child"),
    "path": (changed(2, path=[0, 2]), "path is no path of drafts"),
    "long path": (changed(3, path=[0, 1], committed=[1], committed_texts=None, committed_p=None),
                  "path is no path of drafts"),
    "no token": (changed(5, committed=[], committed_texts=[], committed_p=[]), "or committed is"),
    "targets": (changed(2, target_tokens=[1], target_texts=["x"]), "target_tokens has 1 entries"),
    "a word": (changed(2, committed=["x", 1, 2]), "line 3 is damaged"),
    "a number": (changed(2, seconds=3), "line 3 is damaged"),
    "after the end": ([*trace_records.small(), trace_records.end()], "follows the end"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_trace_is_refused_in_one_sentence(tmp_path, capsys, name):
    lines, message = DAMAGED[name]
    path = trace_records.written(tmp_path / "run.jsonl", lines)
    with pytest.raises(InputError, match=message):
        read_trace(path)
    assert main(["trace", "view", str(path)]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert not (tmp_path / "run.html").exists()


def test_a_trace_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"there is no trace .*none\.jsonl"):
        read_trace(tmp_path / "none.jsonl")


def test_a_line_that_is_no_json_is_named(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text('{"kind": "header"\n{}\n')
    with pytest.raises(InputError, match="line 1 is damaged: it is no JSON"):
        read_trace(path)


def test_every_kind_of_token_is_told_and_what_was_rejected_there():
    tokens = tokens_of(trace_of(trace_records.small(), "here"))
    assert [(token.text, token.kind, token.rejected, token.more) for token in tokens] == [
        ("\n", "prefill", "", 0),
        ("def", "accepted", "", 0),
        (" add", "accepted", "", 0),
        ("(", "corrected", "!", 0),
        ("a", "accepted", "", 0),
        (", b", "accepted", "", 0),
        ("):\n", "bonus", "", 0),
        (" yield", "accepted", "\u2423return\u2423a", 0),
        (" c", "accepted", "\u2423b", 0),
        ("\n", "bonus", "", 0),
        ("done", "plain", "", 0),
        (" y", "corrected", "x", 0),
    ]
    assert [token.place for token in tokens if token.begins_round] == [0, 1, 4, 7, 10, 11]


def test_of_many_rejected_drafts_one_line_is_shown_and_the_others_counted():
    round = trace_records.round_line(
        1, ["a", "b", "c", "d", "e"], [], ["z"], parents=[-1, -1, 0, 0, 1]
    )
    tokens = tokens_of(trace_of([trace_records.header(), trace_records.prefill(), round], "here"))
    assert (tokens[1].rejected, tokens[1].more) == ("ac", 3)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 1500), st.integers(0, 5))
def test_chunks_hold_every_token_once_and_break_at_lines(count, seed):
    tokens = tokens_of(trace_of(trace_records.long(count, seed), "here"))
    chunks = list(chunks_of(tokens))
    assert [token for chunk in chunks for token in chunk] == tokens
    assert len(tokens) == count
    assert all(len(chunk) <= 400 for chunk in chunks)
    assert all(chunk[-1].text.endswith("\n") or len(chunk) == 400 for chunk in chunks[:-1])


@pytest.mark.models
@settings(max_examples=60, deadline=None)
@given(text=st.text(min_size=1, max_size=12), cuts=st.lists(st.integers(1, 6), max_size=12))
def test_the_texts_of_tokens_add_up_however_they_are_cut(tokenizer, text, cuts):
    """Every byte is a token here: characters of several bytes end in the last of them."""
    ids = tokenizer(text)["input_ids"]
    texts = TokenTexts(tokenizer, ids[:3])
    found, at = [], 0
    while at < len(ids):
        count = cuts.pop() if cuts else 3
        part = ids[at : at + count]
        found += texts.commit(part, is_last=at + count >= len(ids))
        at += count
    assert len(found) == len(ids)
    assert "".join(found) == tokenizer.decode(ids)


@pytest.mark.models
def test_a_draft_is_read_in_its_place(tokenizer):
    """The second byte of a character completes it, after any committed or drafted text."""
    ids = tokenizer("a\u20ac")["input_ids"]
    texts = TokenTexts(tokenizer, ids[:1])
    texts.commit(ids[1:2], is_last=False)
    assert texts.after(tokenizer("b")["input_ids"]) == "b"
    assert tokenizer.decode(ids[1:]) == "\u20ac"
    assert texts.after(ids[2:]) == "\u20ac"
    assert texts.after(ids[2:3]) == ""


@given(st.text())
def test_shown_words_hold_nothing_that_moves_or_breaks_others(text):
    for words in (shown(text), named(text, 1)):
        words.encode()
        assert not any(
            "\u202a" <= each <= "\u202e" or "\u2066" <= each <= "\u2069" for each in words
        )
        assert all(each >= " " or each in "\n\t" for each in words)
    assert "\n" not in named(text, 1)
    assert named(text, 1)

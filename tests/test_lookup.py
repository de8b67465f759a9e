"""Prompt lookup: what it copies, from where, and what it refuses to read."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import specframe
from specframe import InputError, OptionError, Row, Rows, Sampler, StopPolicy, Stops, Target
from specframe.testing import parametrize_with_checks
from specframe_lookup import LookupOptions
from specframe_lookup._drafter import LookupDrafter
from specframe_lookup._ngram_index import NgramIndex, Reference
from table_drafters import PlannedLimits, limits, prompts, stops, tables
from table_engine import Table, TableEngine, make_rows, run

often = settings(max_examples=300, deadline=None)
texts = st.lists(st.integers(0, 3), min_size=1, max_size=24)
documents = st.lists(st.lists(st.integers(0, 3), max_size=8), max_size=3)
option_sets = st.tuples(
    st.integers(1, 3), st.integers(0, 2), st.integers(1, 8), st.sampled_from(["latest", "leftmost"])
).map(
    lambda drawn: LookupOptions(
        min_ngram=drawn[0], max_ngram=drawn[0] + drawn[1], steps=drawn[2], match=drawn[3]
    )
)


def naive(text, room, options, references=()):
    """Find the longest run of last tokens that occurred before, and copy what followed it."""
    for length in range(options.max_ngram, options.min_ngram - 1, -1):
        run_of_last = text[-length:] if length <= len(text) else None
        places = [at for at in range(length, len(text)) if text[at - length : at] == run_of_last]
        if places:
            place = places[-1] if options.match == "latest" else places[0]
            longer = list(text)
            for step in range(room):
                longer.append(longer[place + step])
            return longer[len(text) :]
        for document in references:
            for place in range(length, len(document)):
                if document[place - length : place] == run_of_last:
                    return document[place : place + room]
    return []


def guesses_of(options, text, room=10, references=()):
    """Return what a drafter copies after ``text``, asked once."""
    drafter = LookupDrafter(options)
    drafter._reference = Reference(references, options.min_ngram, options.max_ngram)
    rows = Rows([Row(0, len(text), list(text), Stops(99, 999), room=min(room, options.steps))])
    drafter.start(None, rows, None)
    draft = drafter.propose(rows, StopPolicy(), Sampler())
    assert draft.are_chains
    return draft.token_lists[0][1:]


def look(text, room=10, references=(), **options):
    return guesses_of(LookupOptions(**options), text, room, references)


@often
@given(texts, documents, option_sets, st.integers(0, 8))
def test_a_guess_is_that_of_a_naive_scan(text, references, options, room):
    room = min(room, options.steps)
    expected = naive(text, room, options, references) if room else []
    assert guesses_of(options, text, room, references) == expected


@often
@given(texts, st.lists(st.integers(1, 5), max_size=12), option_sets)
def test_an_index_that_grows_is_one_that_was_read_at_once(text, sizes, options):
    lengths = (options.min_ngram, options.max_ngram)
    grown, whole = (NgramIndex(*lengths, latest=options.match == "latest") for _ in range(2))
    end = 0
    for size in sizes:
        end += size
        grown.read(text[:end])
    grown.read(text)
    whole.read(text)
    assert grown.places == whole.places


@often
@given(tables, prompts, option_sets, st.lists(stops(), min_size=3, max_size=3), limits)
def test_every_row_of_a_decode_is_guessed_from_its_own_text(table, some, options, ends, levels):
    rows = make_rows(some, ends[: len(some)])
    everyone = list(rows.active)
    drafter = Watched(options)
    run(table, drafter, rows, stop=PlannedLimits(levels))
    for row in everyone:
        prompt = row.tokens[: row.prompt_length]
        assert (row.new_tokens, row.finish_reason) == table.continuation(row.stops, prompt)
    for text, room, guess in drafter.seen:
        assert guess == (naive(text, room, options) if room else [])


class Watched(LookupDrafter):
    """Remember each text with the room that it had and what was guessed."""

    def __init__(self, options):
        super().__init__(options)
        self.seen = []

    def propose(self, rows, stop, sampler):
        draft = super().propose(rows, stop, sampler)
        for row, tokens in zip(rows.active, draft.token_lists, strict=True):
            self.seen.append((list(row.tokens), row.room, tokens[1:]))
        return draft


def test_nothing_is_drafted_where_nothing_occurred_before():
    """Others draft token 100 here, which is in some vocabularies a frequent one."""
    assert look([1, 2, 3]) == []
    assert look([100]) == []
    assert look([1, 2, 1, 3], min_ngram=2, max_ngram=4) == []


@pytest.mark.parametrize(("match", "guess"), [("latest", [8, 1, 2]), ("leftmost", [7, 1, 2])])
def test_the_match_option_chooses_among_places(match, guess):
    assert look([1, 2, 7, 1, 2, 8, 1, 2], room=3, match=match) == guess


def test_the_longest_run_decides_before_the_place_does():
    text = [5, 1, 2, 6, 2, 7, 5, 1, 2]
    assert look(text, room=1, match="latest") == [6]
    assert look(text, room=1, match="latest", max_ngram=1) == [7]


@pytest.mark.parametrize("match", ["latest", "leftmost"])
def test_the_end_of_the_text_does_not_find_itself(match):
    assert look([4, 5, 6], match=match) == []
    assert look([6, 4, 5, 6], room=2, match=match) == [4, 5]


def test_a_match_may_overlap_the_end_and_then_repeats_itself():
    assert look([3, 3], room=5) == [3] * 5
    assert look([3, 3, 3], room=5) == [3] * 5
    assert look([9, 1, 2, 1, 2], room=5) == [1, 2, 1, 2, 1]


def test_a_continuation_that_is_shorter_than_the_draft_is_used():
    """The first implementation skipped places with fewer than ten tokens after them."""
    assert look([1, 2, 3, 4, 1], room=10, max_ngram=1)[:4] == [2, 3, 4, 1]
    assert look([1], room=10, references=[[1, 2, 3]]) == [2, 3]


def test_a_run_may_reach_from_the_prompt_into_the_output():
    drafter = LookupDrafter(LookupOptions(min_ngram=3))
    rows = make_rows([[1, 2, 3, 4, 1, 2]], Stops(9, 99))
    drafter.start(None, rows, None)
    (row,) = rows.active
    row.commit([3])
    row.room = 2
    assert drafter.propose(rows, StopPolicy(), Sampler()).token_lists == [[3, 4, 1]]


def test_an_end_token_is_copied_like_any_other():
    """Stops are the target's: the target says whether the text ends there."""
    table = Table()
    prompt = [1, 2, 3]
    spoken = table.continuation(Stops(9, 999), prompt)[0]
    again = [*prompt, *spoken, *prompt]
    rows = make_rows([again], Stops(9, 999, eos=frozenset({spoken[1]})))
    (row,) = rows.active
    run(table, LookupDrafter(LookupOptions()), rows)
    assert (row.new_tokens, row.finish_reason) == table.continuation(row.stops, again)
    assert look([7, 0, 5, 6, 7], room=4, max_ngram=1) == [0, 5, 6, 7]


@pytest.mark.parametrize("budget", [1, 2, 3])
def test_no_draft_reaches_past_the_budget_or_the_context(budget):
    for ends in (Stops(budget, 999), Stops(999, 6 + budget)):
        rows = make_rows([[1, 1, 1, 1, 1, 1]], ends)
        drafter = Watched(LookupOptions())
        run(Table(), drafter, rows)
        assert all(
            len(guess) <= room < len(text) - 6 + budget for text, room, guess in drafter.seen
        )


def test_without_room_nothing_is_looked_up():
    assert look([1, 1, 1], room=0) == []


def test_the_text_goes_before_the_reference_and_a_longer_run_before_both():
    assert look([1, 7, 1], room=1, references=[[1, 8]]) == [7]
    assert look([2, 1, 7, 2, 5, 1], room=1, references=[[5, 1, 8]]) == [8]
    assert look([1], room=1, references=[[2, 8], [1, 9], [1, 6]]) == [9]


def test_no_run_reaches_from_one_document_into_the_next():
    assert look([1, 2], room=2, min_ngram=2, references=[[1], [2, 3], [1, 2, 4]]) == [4]


def test_a_reference_is_read_from_json_lines(tmp_path):
    path = tmp_path / "reference.jsonl"
    path.write_text("[1, 2, 3]\n\n[]\n[2, 5]\n")
    drafter = LookupDrafter(LookupOptions(reference=path))
    drafter.prepare(Target(TableEngine(Table())))
    assert list(drafter._reference.continuation((2,), 4)) == [3]
    assert list(drafter._reference.continuation((5,), 4)) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "[1]\n{}\n", "line 2 of .* must be a JSON list of token ids, got '{}'"),
        ("a.jsonl", "[1, true]", "line 1 of .* must be a JSON list of token ids"),
        ("a.jsonl", "[1,", "line 1 of .* must be a JSON list of token ids"),
        ("a.jsonl", "[0]\n[5, 6]", "document 2 of .* holds token 6, and the model knows 0 to 5"),
        ("a.jsonl", "[-1]", "holds token -1"),
        ("a.txt", "text", "is text and 'a model' came without a tokenizer"),
        ("a.txt", b"\xff\xfe\xff", "cannot be read as UTF-8 text"),
        ("a.txt", None, "cannot be read as UTF-8 text: .*No such file"),
    ],
)
def test_a_reference_that_cannot_serve_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        LookupDrafter(LookupOptions(reference=path)).prepare(Target(TableEngine(Table())))


def test_a_range_without_a_length_is_refused():
    with pytest.raises(OptionError, match=r"min_ngram 4 lies above max_ngram 3"):
        specframe.load(strategy="prompt-lookup", options={"min_ngram": 4})


def test_a_batch_keeps_the_indices_of_the_rows_that_stay():
    drafter = LookupDrafter(LookupOptions())
    rows = make_rows([[1, 2, 1], [3, 4, 3], [5, 6, 5]], Stops(9, 99))
    for row in rows.active:
        row.room = 1
    drafter.start(None, rows, None)
    rows.active = [rows.active[2], rows.active[0]]
    drafter.keep([2, 0])
    expected = [naive(row.tokens, 1, LookupOptions()) for row in rows.active]
    drafted = drafter.propose(rows, StopPolicy(), Sampler())
    assert [tokens[1:] for tokens in drafted.token_lists] == expected


@pytest.mark.models
def test_a_text_file_is_tokenised_by_the_model_and_speeds_its_repetition_up(tmp_path):
    with specframe.load(strategy="none") as plain:
        expected = plain.decode("def read_config(path):", max_new_tokens=32, eos_token_id=())
    path = tmp_path / "reference.txt"
    path.write_text("def read_config(path):" + expected.text, encoding="utf-8")
    with specframe.load(strategy="prompt-lookup", options={"reference": str(path)}) as decoder:
        result = decoder.decode("def read_config(path):", max_new_tokens=32, eos_token_id=())
    assert result.token_ids == expected.token_ids
    assert result.rounds[0].accepted >= 8


@parametrize_with_checks(
    [
        lambda: LookupDrafter(LookupOptions(match="leftmost", min_ngram=2, steps=3)),
        lambda: LookupDrafter(LookupOptions(max_ngram=1)),
    ]
)
def test_other_options_conform(strategy, check):
    check(strategy)


@pytest.mark.models
def test_the_options_come_through_the_front_door(tmp_path):
    path = tmp_path / "ids.jsonl"
    path.write_text(json.dumps([1, 2, 3]))
    options = {"match": "leftmost", "steps": "4", "reference": str(path)}
    with specframe.load(strategy="prompt-lookup", options=options) as decoder:
        assert decoder.setup.stop_policy == "fixed"
        assert decoder.drafter.most_levels == 4

"""How a result shows itself: a line of Python, and HTML with the CLI's marks."""

import html.parser
import re

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specframe._results.display import parts
from specframe._results.metrics import measure
from specframe._results.result import Result
from specframe._results.row_round import RowRound

NASTY = st.text(st.sampled_from("<>&\"'a \n\té😀"), max_size=6)
ROUNDS = st.lists(st.lists(st.tuples(NASTY, st.booleans()), min_size=1, max_size=4), max_size=5)


def result_of(before, rounds, *, finish="eos", held="", has_text=True):
    """Return a result whose prefill said ``before`` and whose rounds said ``rounds``."""
    seen = []
    for pieces in rounds:
        accepted = sum(is_drafted for _, is_drafted in pieces)
        committed = list(range(7, 7 + len(pieces)))
        given = tuple(piece for piece in pieces if piece[0]) if has_text else ()
        text = "".join(text for text, _ in given)
        drafted = committed[:accepted]
        seen.append(
            RowRound(drafted, [], None, committed, accepted, committed, None, {}, (), text, given)
        )
    tokens = [5, *(token for round in seen for token in round.committed)]
    text = before + "".join(round.text for round in seen) + held
    metrics = measure(3, len(tokens), seen, {})
    return Result(tokens, text if has_text else None, finish, [1, 2, 3], 0, metrics, seen)


class Reader(html.parser.HTMLParser):
    """Read the marked text of a result as a browser does, and refuse a mark that is not closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.pieces, self.tags = [], [], set()
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, _):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.pieces.append((data, self.open[-1] == "span"))


@settings(max_examples=60, deadline=None)
@given(NASTY, ROUNDS)
def test_the_pieces_add_up_to_the_text_and_keep_their_marks(before, rounds):
    result = result_of(before, rounds)
    shown = parts(result)
    assert "".join(text for text, _ in shown) == result.text
    marked = [piece for round in rounds for piece in round if piece[0]]
    assert shown[len(shown) - len(marked) :] == marked


@settings(max_examples=60, deadline=None)
@given(NASTY, ROUNDS)
def test_the_page_shows_any_text_and_nothing_else(before, rounds):
    result = result_of(before, rounds)
    reader = Reader(result._repr_html_().split("</div>")[0] + "</div></div>")
    assert "".join(text for text, _ in reader.pieces) == result.text
    drafted = "".join(text for round in rounds for text, is_drafted in round if is_drafted)
    assert "".join(text for text, is_drafted in reader.pieces if is_drafted) == drafted
    assert reader.tags <= {"div", "span"}


def test_the_page_says_what_the_marks_mean_without_colour_too():
    page = result_of("one ", [[("two", True), (" three", False)]])._repr_html_()
    Reader(page)
    assert 'title="drafted and accepted"' in page
    assert ">drafted and accepted</span>" in page
    assert "3 tokens in 1 round" in page
    assert "finished by eos" in page
    assert "border-bottom" in page
    # Nothing sets a colour of text or page, so that dark pages stay dark.
    assert re.findall(r"[^-]color:|background:#", page) == []


def test_an_interrupted_result_shows_what_was_held_back():
    result = result_of("a", [[("bc", True)], [("d", False)]], finish=None, held="held")
    assert parts(result) == [("a", False), ("bc", True), ("d", False), ("held", False)]
    assert "finished by interruption" in result._repr_html_()


def test_without_a_tokenizer_the_token_ids_are_shown():
    result = result_of("", [[("x", True), ("y", False)]], has_text=False)
    assert parts(result) == [("5 ", False), ("7 ", True), ("8 ", False)]
    assert "no text" in repr(result)


def test_the_repr_is_one_short_line():
    result = result_of("word\n" * 500, [])
    assert repr(result).startswith("<Result: 1 new token, finish_reason 'eos', 'word\\nword")
    assert len(repr(result)) < 120
    assert "\n" not in repr(result)
    assert repr(attrs.evolve(result, text="short")).endswith("'short'>")


@pytest.mark.models
@pytest.mark.usefixtures("tiny")
def test_a_decoded_text_is_marked_as_the_command_line_marks_it():
    import io

    import specframe
    from specframe.cli._display import DRAFTED, PLAIN, TextWriter

    with specframe.load() as decoder:
        stream = decoder.stream("def main():\n    ", max_new_tokens=24)
        out = io.StringIO()
        writer = TextWriter(out, colour=True)
        for round in stream:
            writer.write(round)
        shown = parts(stream.result)
    coloured = "".join(f"{DRAFTED}{text}{PLAIN}" if drafted else text for text, drafted in shown)
    assert coloured == out.getvalue()
    assert any(is_drafted for _, is_drafted in shown)

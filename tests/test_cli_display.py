"""What ``specframe decode`` shows: text, colour, statistics, JSON, and the end by Ctrl-C."""

from __future__ import annotations

import io
import json

import attrs
import pytest

from specframe._errors import InputError, NumericsError, OptionError
from specframe._files import to_line
from specframe.cli._display import Notes, TextWriter, comparison, statistics, wants_colour
from specframe.cli._flags import Limits, Loading, check_device, parse_options
from specframe.cli._json import result_object
from specframe.cli._prompt import for_model, read_prompt
from specframe.cli._run_prompt import Show, exit_code, run_prompt


@attrs.frozen
class Setup:
    strategy: str = "kangaroo"
    options: dict = attrs.Factory(lambda: {"steps": 6})
    verifier: str = "greedy"
    stop_policy: str = "confidence"
    guarantee: str = "tokens"
    model: str = "tiny"
    dtype: str = "float32"
    device: str = "cpu"
    exact: bool = False


SECONDS = {"total": 1.0, "prefill": 0.1, "draft": 0.3, "verify": 0.5, "other": 0.1}


@attrs.frozen(kw_only=True)
class Metrics:
    num_new_tokens: int = 5
    num_spec_steps: int = 2
    num_draft_tokens: int = 4
    draft_acceptance_rate: float | None = 0.5
    mean_acceptance_length: float | None = 2.0
    tokens_per_second: float | None = 4.4
    tokens_per_second_with_prefill: float | None = 5.0
    seconds: dict = attrs.Factory(lambda: dict(SECONDS))
    speedup: float | None = None
    identical: bool | None = None
    break_even_acceptance_length: float | None = None

    def as_dict(self):
        return attrs.asdict(self)


@attrs.frozen
class Result:
    token_ids: list = attrs.Factory(lambda: [1, 2, 3, 4, 5])
    text: str | None = "one two three"
    finish_reason: str | None = "length"
    metrics: Metrics = attrs.Factory(Metrics)
    prompt_token_ids: list = attrs.Factory(lambda: [9])
    seed: int = 7


@attrs.frozen
class RowRound:
    pieces: tuple


ROUNDS = (
    RowRound((("one", False),)),
    RowRound(((" two", True), (" three", False))),
)


@attrs.define
class Stream:
    """Yields rounds, then raises what it was given, as Ctrl-C or a fault would."""

    result: Result
    error: BaseException | None = None

    def __iter__(self):
        yield from ROUNDS
        if self.error:
            raise self.error


@attrs.define
class ReadyDecoder:
    final: Stream
    tokenizer: object = None
    setup: Setup = attrs.Factory(Setup)
    asked: list = attrs.Factory(list)

    def setup_at(self, temperature):
        return self.setup

    def stream(self, prompt, **arguments):
        self.asked.append((prompt, arguments))
        return self.final

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


@attrs.frozen(kw_only=True)
class Ready(Loading):
    decoder: ReadyDecoder

    def open(self):
        return self.decoder


@attrs.frozen
class Tokenizer:
    chat_template: str | None

    def apply_chat_template(self, messages, **flags):
        assert messages == [{"role": "user", "content": "hello"}]
        assert flags == {"add_generation_prompt": True, "tokenize": True, "return_dict": False}
        return [4, 2]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def decode(show=None, error=None, notes=None, tokenizer=None, limits=None):
    decoder = ReadyDecoder(Stream(Result(), error), tokenizer)
    loading = Ready(strategy="kangaroo", decoder=decoder)
    limits = limits or Limits(max_new_tokens=5)
    code = run_prompt("hello", loading, limits, show or Show(), notes or Notes())
    return code, decoder


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_accepted_drafts_are_green_on_a_terminal(terminal):
    writer = TextWriter(terminal, wants_colour(terminal))
    for one in ROUNDS:
        writer.write(one)
    assert terminal.getvalue() == "one\x1b[32m two\x1b[0m three"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_refused(terminal, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert not wants_colour(terminal)


def test_pipe_gets_no_colour():
    assert not wants_colour(io.StringIO())


def test_text_goes_to_stdout_and_statistics_to_stderr(capsys):
    code, decoder = decode()
    said = capsys.readouterr()
    assert code == 0
    assert said.out == "one two three\n"
    assert said.err.splitlines() == [
        "note: loading the demo model",
        "5 tokens in 1.00 s: 4.4 tokens/s (5.0 with prefill), finished by length",
        "2.00 tokens a round over 2 rounds; 50.0% of 4 drafted tokens accepted",
        "time: prefill 0.10 s, draft 0.30 s, verify 0.50 s, other 0.10 s",
        (
            "strategy kangaroo, verifier greedy (lossless: the same tokens as plain decoding), "
            "stop policy confidence; tiny, float32 on cpu"
        ),
    ]
    ((prompt, asked),) = decoder.asked
    assert (prompt, asked.pop("max_new_tokens"), asked.pop("stop")) == ("hello", 5, ())
    assert asked.pop("temperature") == 0.0
    assert set(asked.values()) == {None}


def test_sampled_text_names_its_seed_and_a_lossy_verifier_is_called_so(capsys):
    decode(limits=Limits(max_new_tokens=5, temperature=0.7))
    said = capsys.readouterr().err
    assert "stop policy confidence, seed 7; tiny" in said
    lossy = statistics(Result(), Setup(verifier="typical", guarantee="none"))[-1]
    assert "verifier typical (LOSSY: it changes what the model says)" in lossy
    drawn = statistics(Result(), Setup(verifier="rejection", guarantee="distribution"))[-1]
    assert "verifier rejection (lossless in distribution)" in drawn


def test_other_tokens_are_no_mismatch_where_none_are_promised():
    result = compared(identical=False)
    setup = Setup(verifier="rejection", guarantee="distribution")
    assert comparison(result, Result([1, 2, 8]), setup)[1].endswith(
        "(verifier rejection promises no tokens)"
    )
    assert exit_code(result, setup) == 0


def test_quiet_leaves_the_text_alone(capsys):
    decode(notes=Notes(quiet=True))
    assert capsys.readouterr() == ("one two three\n", "")


def test_no_stream_prints_the_same_text_at_the_end(capsys):
    decode(Show(live=False))
    assert capsys.readouterr().out == "one two three\n"


def test_ctrl_c_shows_what_was_decoded_and_its_statistics(capsys):
    code, _ = decode(error=KeyboardInterrupt())
    said = capsys.readouterr()
    assert code == 130
    assert said.out == "one two three\n"
    assert "5 tokens in 1.00 s" in said.err
    assert "interrupted; above is what was decoded until then" in said.err


def test_text_that_ctrl_c_kept_back_is_written_after_all():
    out = io.StringIO()
    writer = TextWriter(out)
    writer.write(ROUNDS[0])
    writer.end(Result())
    assert out.getvalue() == "one two three\n"


def test_fault_in_the_middle_ends_the_line_first(capsys):
    with pytest.raises(NumericsError):
        decode(error=NumericsError("not finite"))
    assert capsys.readouterr().out == "one two three\n"


def test_json_is_one_object_and_no_text(capsys):
    code, _ = decode(Show(json=True), notes=Notes(quiet=True))
    said = capsys.readouterr()
    assert code == 0
    assert said.err == ""
    found = json.loads(said.out)
    keys = "schema prompt prompt_token_ids token_ids text finish_reason strategy options verifier "
    keys += "stop_policy model dtype device seed versions metrics"
    assert list(found) == keys.split()
    assert found["schema"] == 1
    assert found["prompt"] == "hello"
    assert list(found["versions"]) == ["specframe", "torch", "transformers", "python"]


def test_json_knows_no_constants_and_any_terminal_can_show_it():
    result = Result(text="é", metrics=Metrics(tokens_per_second=float("inf")))
    line = to_line(result_object("ü", result, Setup()), ascii_only=True)
    assert line.isascii()
    assert json.loads(line)["metrics"]["tokens_per_second"] is None
    assert json.loads(line)["text"] == "é"


PLAIN = Result(metrics=Metrics(tokens_per_second=2.9))


def compared(**metrics):
    figures = {"speedup": 1.517, "identical": True, "break_even_acceptance_length": 1.337}
    return Result(metrics=Metrics(**figures | metrics))


def test_comparison_says_rates_speedup_identity_and_break_even():
    assert comparison(compared(), PLAIN, Setup()) == [
        "kangaroo 4.4 tokens/s, plain 2.9 tokens/s: 1.52x",
        "the tokens are identical",
        "needs >= 1.34 tokens a round at these costs; got 2.00",
    ]
    assert exit_code(compared(), Setup()) == 0


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ([1, 2, 8], "the tokens differ, first at new token 2: 3, plain has 8"),
        ([1, 2], "the tokens differ in number: 5 tokens, plain has 2"),
    ],
)
def test_difference_is_named_and_is_exit_code_one(plain, said):
    result = compared(identical=False)
    assert comparison(result, Result(plain), Setup())[1] == said
    assert exit_code(result, Setup()) == 1


def test_nothing_divided_by_nothing_is_not_a_number():
    empty = Metrics(num_draft_tokens=0, draft_acceptance_rate=None, mean_acceptance_length=None)
    said = statistics(Result(metrics=empty), Setup())[1]
    assert said == "n/a tokens a round over 2 rounds; nothing was drafted"
    unknown = compared(speedup=None, break_even_acceptance_length=None)
    assert comparison(unknown, PLAIN, Setup())[0].endswith("n/a")


def test_chat_template_wraps_the_prompt_unless_forbidden(capsys):
    tokenizer = Tokenizer("{{ messages }}")
    assert for_model("hello", tokenizer, Notes(), chat=None) == [4, 2]
    assert for_model("hello", tokenizer, Notes(), chat=True) == [4, 2]
    assert for_model("hello", tokenizer, Notes(), chat=False) == "hello"
    assert for_model("hello", Tokenizer(None), Notes(), chat=None) == "hello"
    assert for_model("hello", None, Notes(), chat=None) == "hello"
    assert capsys.readouterr().err == ""


def test_chat_without_a_template_is_told():
    notes = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", notes)
        assert for_model("hello", Tokenizer(None), Notes(), chat=True) == "hello"
    assert "has no chat template" in notes.getvalue()


@pytest.mark.parametrize(
    ("content", "prompt"), [(b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b"  a", "  a")]
)
def test_one_line_break_at_the_end_of_a_file_is_not_the_prompts(tmp_path, content, prompt):
    path = tmp_path / "prompt.txt"
    path.write_bytes(content)
    assert read_prompt(None, path, Notes()) == prompt


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "prompt is empty"), (b"\n", "prompt is empty"), (b"\xff", "is not UTF-8 text")],
)
def test_file_without_a_prompt_is_refused(tmp_path, content, complaint):
    path = tmp_path / "prompt.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as caught:
        read_prompt(None, path, Notes())
    assert str(path) in str(caught.value)


def test_argument_that_is_no_text_is_refused():
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_prompt("\udcff", None, Notes())
    with pytest.raises(InputError, match="prompt is empty"):
        read_prompt("", None, Notes())


def test_options_are_pairs_split_at_the_first_equals_sign():
    assert parse_options(["steps=4", "adapter=a=b", "stop.x="]) == {
        "steps": "4",
        "adapter": "a=b",
        "stop.x": "",
    }


@pytest.mark.parametrize(
    ("pairs", "complaint"),
    [
        (["steps"], "-o takes KEY=VALUE, such as -o steps=4; got 'steps'"),
        (["=4"], "got '=4'"),
        (["steps=4", "steps=5"], "option 'steps' is given twice: 4 and 5"),
    ],
)
def test_options_that_are_no_pairs_are_refused(pairs, complaint):
    with pytest.raises(OptionError) as caught:
        parse_options(pairs)
    assert complaint in str(caught.value)


def test_devices_have_names():
    assert [check_device(name) for name in ("auto", "cpu", "cuda", "cuda:1")]
    with pytest.raises(InputError, match="--device is 'gpu': give auto, cpu, cuda or cuda:0"):
        check_device("gpu")

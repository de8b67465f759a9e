"""Files of settings: what they may say, what is refused with its line, and what comes back."""

from __future__ import annotations

import codecs
import itertools
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from typer.main import get_command

from specframe import OptionError
from specframe.cli import main
from specframe.cli._app import build_app
from specframe.cli.config._print_config import quoted

DECODE = """
[decode]
strategy = "none"
max_new_tokens = 32
stop = ["a", "b"]
temperature = 1
chat = false

[decode.options]
stop.steps = 3
adapter = "no-path"

[bench]
strategies = "none"
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def effective(here, capsys):
    """Return what ``--print-config`` prints for the arguments, as a dict."""

    def print_config(*arguments, file=None):
        if file is not None:
            (here / "run.toml").write_text(file, encoding="utf-8")
            arguments = (*arguments, "-c", "run.toml")
        code = main([*arguments, "--print-config"])
        said = capsys.readouterr()
        assert (code, said.err) == (0, "")
        return tomllib.loads(said.out)[arguments[0]]

    return print_config


@pytest.fixture
def refusal(here, capsys):
    """Return the sentence in which a file is refused."""

    def refuse(file, *arguments):
        (here / "run.toml").write_text(file, encoding="utf-8")
        code = main([*(arguments or ["decode"]), "-c", "run.toml", "--print-config"])
        said = capsys.readouterr()
        assert (code, said.out) == (2, "")
        return said.err

    return refuse


def test_file_says_what_flags_say(effective):
    found = effective("decode", "hello", file=DECODE)
    assert found["prompt"] == "hello"
    assert found["strategy"] == "none"
    assert found["max-new-tokens"] == 32
    assert found["stop"] == ["a", "b"]
    assert found["temperature"] == 1.0
    assert found["chat"] is False
    assert found["options"] == {"stop.steps": 3, "adapter": "no-path"}


def test_what_is_typed_wins_and_options_are_merged_key_by_key(effective):
    typed = ["--max-new-tokens", "5", "--stop", "c", "-o", "stop.steps=4", "-o", "x=y", "--chat"]
    found = effective("decode", *typed, file=DECODE)
    assert found["max-new-tokens"] == 5
    assert found["stop"] == ["c"]
    assert found["chat"] is True
    assert found["options"] == {"adapter": "no-path", "stop.steps": 4, "x": "y"}


def test_table_of_another_command_says_nothing(effective):
    assert effective("check", "kangaroo", file="[decode]\nseed = 7\n")["seed"] == 0


@pytest.mark.parametrize(
    ("command", "file", "key", "value"),
    [
        ("check", "[check]\nstrategy = 'none'\nnum_prompts = 3\n", "num-prompts", 3),
        ("bench", "[bench]\nstrategies = 'none'\nrepeats = 9\n", "repeats", 9),
        ("bench", "[bench.options]\nkangaroo.steps = 2\n", "options", {"kangaroo.steps": 2}),
        (
            "train",
            "[train]\nname = 'kangaroo'\nmodel = 'x'\ndata = 'd'\noutput = 'o'\nmax-steps = 7\n",
            "max-steps",
            7,
        ),
    ],
)
def test_every_command_with_flags_takes_a_file(effective, command, file, key, value):
    assert effective(command, file=file)[key] == value


def test_file_is_obeyed_and_not_only_printed(here, capsys):
    (here / "run.toml").write_text("[decode]\nstrategy = 'kangaro'\n")
    assert main(["decode", "x", "-c", "run.toml"]) == 2
    assert "unknown strategy 'kangaro'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("[decode\n", "run.toml is not TOML: "),
        ("[decod]\n", "run.toml, line 1: no command takes its flags from table [decod]: did you"),
        ("strategy = 'none'\n", "run.toml, line 1: 'strategy' is outside of a table"),
        ("[bench]\n[decode]\nmax-tokens = 1\n", "run.toml, line 3: `decode` has no flag for"),
        ("[decode]\nmax_new_tokns = 1\n", "did you mean 'max-new-tokens'?"),
        ("[decode]\nmax-new-tokens = '1'\n", "line 2: 'max-new-tokens' must be a whole number"),
        ("[decode]\nmax-new-tokens = true\n", "must be a whole number, got True"),
        ("[decode]\nmax-new-tokens = 0\n", "run.toml, line 2: Invalid value for '--max-new-"),
        ("[decode]\njson = 'yes'\n", "'json' must be true or false, got 'yes'"),
        ("[decode]\ntemperature = 'hot'\n", "'temperature' must be a number, got 'hot'"),
        ("[decode]\nmodel = 3\n", "'model' must be text in quotes, got 3"),
        ("[decode]\nprompts = 3\n", "'prompts' must be a path in quotes, got 3"),
        ("[decode]\ndtype = 16\n", "'dtype' must be one of auto, float64, float32"),
        ("[decode]\ndtype = 'int8'\n", "run.toml, line 2: Invalid value for '--dtype'"),
        ("[decode]\nstop = [1]\n", "'stop' must be text in quotes, or a list of that, got 1"),
        ("[decode]\nseed = 1979-05-27\n", "'seed' must be a whole number, got datetime.date"),
        ("[decode]\ntop-k = 1\ntop_k = 2\n", "line 3: 'top_k' and 'top-k' are the same flag"),
        ("[decode]\noptions = 3\n", "'options' must be a table of KEY = VALUE"),
        ("[decode.options]\nsteps = [1]\n", "line 2: option 'steps' must be text, a number"),
        (
            "[decode]\noption = ['steps=1']\n[decode.options]\nsteps = 1\n",
            "line 2: option 'steps' is also in [decode.options]",
        ),
        ("[decode]\noption = ['steps']\n", "-o takes KEY=VALUE"),
        ("[decode]\nconfig = 'other.toml'\n", "`decode` has no flag for 'config'"),
        ("[decode]\nhelp = true\n", "`decode` has no flag for 'help'"),
    ],
)
def test_what_means_nothing_is_refused_in_one_sentence(refusal, file, complaint):
    said = refusal(file)
    assert said.startswith("error: ")
    assert complaint in said
    assert said.count("\n") == 1


def test_command_without_options_takes_no_table_of_them(refusal):
    required = ["train", "x", "-m", "x", "--data", "x", "--output", "x"]
    assert "`train` takes no options" in refusal("[train.options]\nx = 1\n", *required)


def test_bad_value_that_was_typed_is_not_blamed_on_the_file(refusal):
    said = refusal("[decode]\nmax-new-tokens = 3\n", "decode", "--max-new-tokens", "0")
    assert "run.toml" not in said


def test_missing_file_is_named(capsys):
    assert main(["decode", "-c", "missing.toml"]) == 2
    assert capsys.readouterr().err == "error: No such file or directory: missing.toml\n"


def test_paths_are_relative_to_the_file(here, effective):
    folder = here / "settings"
    (folder / "adapters" / "mine").mkdir(parents=True)
    (folder / "run.toml").write_text(
        "[decode]\nprompt-file = 'p.txt'\nmodel = './m'\ndraft-model = 'org/name'\n"
        "[decode.options]\nadapter = 'adapters/mine'\nreference = 'r.txt'\nrevision = 'a/b'\n"
    )
    found = effective("decode", "-c", "settings/run.toml")
    assert Path(found["prompt-file"]) == folder / "p.txt"
    assert Path(found["model"]) == folder / "m"
    assert found["draft-model"] == "org/name"
    assert Path(found["options"]["adapter"]) == folder / "adapters" / "mine"
    assert Path(found["options"]["reference"]) == folder / "r.txt"
    assert found["options"]["revision"] == "a/b"


def test_printed_paths_are_absolute(here, effective):
    (here / "adapters" / "mine").mkdir(parents=True)
    (here / "latest").mkdir()
    typed = ["-o", "adapter=adapters/mine", "-o", "reference=r.txt", "-o", "match=latest"]
    found = effective("decode", "-m", "latest", "--prompts", "in.jsonl", *typed)
    assert Path(found["model"]) == here / "latest"
    assert Path(found["prompts"]) == here / "in.jsonl"
    assert Path(found["options"]["adapter"]) == here / "adapters" / "mine"
    assert Path(found["options"]["reference"]) == here / "r.txt"
    assert found["options"]["match"] == "latest"
    assert effective("decode", "-o", "reference=none")["options"] == {"reference": "none"}


def test_option_that_only_resembles_a_number_is_printed_as_it_was_typed(effective):
    texts = ["007", "1e3", "0.50", "+1", "1_0", "inf", "nan", "-0", " 3", "True", "", "none"]
    typed = [part for number, text in enumerate(texts) for part in ("-o", f"k{number}={text}")]
    assert list(effective("decode", *typed)["options"].values()) == texts


def test_home_is_meant_by_a_tilde_and_one_that_is_unknown_is_left(effective, monkeypatch, here):
    monkeypatch.setenv("HOME", str(here / "home"))
    monkeypatch.setenv("USERPROFILE", str(here / "home"))
    found = effective("decode", file="[decode]\nmodel = '~/m'\nprompts = '~nobody-here/p'\n")
    assert Path(found["model"]) == here / "home" / "m"
    assert Path(found["prompts"]) == here / "~nobody-here" / "p"


def test_texts_that_are_no_paths_stay(effective):
    found = effective("decode", file="[decode]\nstop = ['./x']\nprompt = './y'\n")
    assert (found["stop"], found["prompt"]) == (["./x"], "./y")


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + b"[decode]\r\nseed = 3\r\n",
        codecs.BOM_UTF16_LE + "[decode]\r\nseed = 3\r\n".encode("utf-16-le"),
    ],
)
def test_files_as_windows_writes_them_are_read(here, effective, content):
    (here / "windows.toml").write_bytes(content)
    assert effective("decode", "-c", "windows.toml")["seed"] == 3


def test_file_that_is_no_text_is_refused(here, capsys):
    (here / "run.toml").write_bytes(b"[decode]\n\xff")
    assert main(["decode", "-c", "run.toml"]) == 2
    assert "run.toml is not UTF-8 text (byte 9)" in capsys.readouterr().err


def test_line_is_found_after_quotes_dots_and_comments(refusal):
    file = "# steps = [1]\n[ 'decode' . options ] # steps = [1]\n\n\"stop\".'steps' = [1]\n"
    assert "run.toml, line 4: option 'stop.steps'" in refusal(file)


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
word = st.text("abz09-_.=/~ é", min_size=1, max_size=8)
FLAGS = {
    "--stop": text,
    "--model": word,
    "--draft-model": word,
    "--verifier": text,
    "--dtype": st.sampled_from(["auto", "float64", "bfloat16"]),
    "--seed": st.integers(0, 2**64 - 1).map(str),
    "--temperature": st.floats(0, allow_infinity=True).map(str),
    "--top-p": st.floats().map(str),
    "--prompts": word,
    "--option": st.tuples(word.filter(lambda key: "=" not in key and key.strip()), text).map(
        "=".join
    ),
}
pairs = st.sampled_from(sorted(FLAGS)).flatmap(
    lambda flag: FLAGS[flag].map(lambda value: [f"{flag}={value}"])
)
switches = st.sampled_from([["--chat"], ["--no-chat"], ["--json"], ["--exact"]])
typed = st.lists(pairs | switches, max_size=5).map(
    lambda parts: list(itertools.chain.from_iterable(parts))
)


def test_printed_configuration_says_the_same_when_it_is_read_from_anywhere(
    tmp_path, capsys, monkeypatch
):
    (tmp_path / "start").mkdir()
    (tmp_path / "other").mkdir()
    file = tmp_path / "other" / "run.toml"
    command = get_command(build_app())

    def printed(arguments, folder):
        monkeypatch.chdir(tmp_path / folder)
        capsys.readouterr()
        line = ["decode", "--print-config", *arguments]
        assert command.main(line, prog_name="specframe", standalone_mode=False) == 0
        return capsys.readouterr().out

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(typed)
    def check(arguments):
        try:
            first = printed(arguments, "start")
        except OptionError:  # what cannot be typed need not come back
            reject()
        file.write_text(first, encoding="utf-8")
        assert printed(["-c", "../other/run.toml"], "start") == first
        assert printed(["-c", "run.toml"], "other") == first

    check()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_written_as_ascii_that_toml_reads_back(content):
    line = quoted(content)
    assert line.isascii()
    assert tomllib.loads(f"x = {line}") == {"x": content}


def test_text_that_is_no_unicode_cannot_be_printed(capsys):
    assert main(["decode", "--stop", "\udcff", "--print-config"]) == 2
    assert "is not UTF-8 text, which TOML cannot hold" in capsys.readouterr().err


def test_new_takes_what_an_author_always_says_from_a_file(effective, here):
    file = '[new]\nlicence = "MIT"\nauthor = "Ada"\noutput = "plugins/echo"\n'
    found = effective("new", "drafter", "echo", file=file)
    assert (found["kind"], found["name"]) == ("drafter", "echo")
    assert (found["licence"], found["author"]) == ("MIT", "Ada")
    assert found["output"] == str(here / "plugins" / "echo")


def test_a_licence_in_a_file_that_there_is_not_is_refused_with_its_line(refusal):
    said = refusal('[new]\nlicence = "Beer"\n', "new", "drafter", "echo")
    assert "run.toml, line 2: " in said
    assert "'Beer' is not one of 'Apache-2.0'" in said

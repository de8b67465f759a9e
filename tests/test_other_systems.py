"""What differs between systems: paths, line ends, encodings, terminals, files that are replaced."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

import specframe
from specframe._files import is_same_file, write_atomically
from specframe._loading.hub_ids import is_hub_id
from specframe.cli import _strategies, main
from specframe.cli._output_file import OutputFile
from specframe.cli._prompt_file import read_prompt_file
from specframe.cli.config._paths import is_path

BOM = b"\xef\xbb\xbf"
FOLDERS = [
    r"C:\models\llama",
    "C:/models",
    "c:llama",
    r"models\llama",
    r".\llama",
    r"\\server\share\llama",
    "./llama",
    "../llama",
    "~/llama",
    "/models",
    "models/of/mine",
    "models/llama/",
    "llama/",
    "my llama",
    "",
    ".",
    "a:b",
]


@pytest.mark.parametrize("name", FOLDERS)
def test_path_of_any_system_is_no_hub_id(name):
    assert not is_hub_id(name)


@pytest.mark.parametrize(
    "name",
    [
        *("name-", "name.", "-name", "org./name", "org/-name"),
        *("a--b", "a..b", "org/name.git", "org/" + "x" * 97, "mod\u00e8le"),
    ],
)
def test_name_that_the_hub_refuses_is_no_hub_id(name):
    assert not is_hub_id(name)


@pytest.mark.parametrize(
    "name", ["gpt2", "org/name", "Qwen/Qwen3-0.6B", "a_b/c.d-e", "0x/1", "_a", "x" * 96]
)
def test_hub_id_is_no_path(name):
    assert is_hub_id(name)


@given(st.lists(st.text("ab.-_", min_size=1), min_size=2, max_size=4).map("\\".join))
def test_no_path_with_windows_separators_is_a_hub_id(name):
    assert len(PureWindowsPath(name).parts) >= 0  # what Windows takes for a path
    assert not is_hub_id(name)


@pytest.mark.parametrize("name", [r"C:\models\llama", "C:/models", r"models\llama", "llama/"])
def test_missing_model_folder_is_named_and_not_looked_up_on_the_hub(name):
    with pytest.raises(specframe.ModelError, match="there is no model folder"):
        specframe.load(name, strategy="none")


@pytest.mark.parametrize("text", [r".\mine", r"..\mine", "./mine", "~", "~/mine"])
def test_text_of_a_file_of_settings_is_a_path_with_either_separator(tmp_path, text):
    assert is_path(text, tmp_path)


@pytest.mark.parametrize("text", ["x" * 5000 + "/y", "a\0/b"])
def test_text_that_no_system_takes_for_a_path_is_none(tmp_path, text):
    assert not is_path(text, tmp_path)


def test_prompts_may_have_the_line_ends_and_the_mark_of_windows(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(BOM + b'{"id": 1, "prompt": "a"}\r\n\r\n{"id": 2, "prompt": "b\\r\\n"}\r\n')
    assert [(line.id, line.prompt) for line in read_prompt_file(path)] == [(1, "a"), (2, "b\r\n")]


def test_reference_may_have_the_mark_of_windows(tmp_path):
    from specframe_lookup._reference_file import read_documents

    path = tmp_path / "documents.jsonl"
    path.write_bytes(BOM + b"[1, 2]\r\n[3]\r\n")

    class Engine:
        vocab_size = 9

    class Target:
        engine = Engine()

    assert read_documents(path, Target()) == [[1, 2], [3]]


def test_output_whose_line_ends_an_editor_changed_is_continued(tmp_path):
    path = tmp_path / "out.jsonl"
    with OutputFile.open(path, {"a": 1}) as output:
        output.add(1, {"text": "x"})
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    with OutputFile.open(path, {"a": 1}) as output:
        assert output.done == {1: False}
        output.add(2, {"text": "y"})
    assert [json.loads(line)["id"] for line in path.read_bytes().splitlines()] == [1, 2]


def test_output_has_the_same_bytes_on_every_system(tmp_path):
    path = tmp_path / "out.jsonl"
    with OutputFile.open(path, {}) as output:
        output.add("ä", {"text": "a\nb"})
    assert path.read_bytes() == '{"id": "ä", "text": "a\\nb"}\n'.encode()


def test_file_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    path = tmp_path / "result.json"
    write_atomically(path, "first\n")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "second \udcff")
    assert path.read_bytes() == b"first\n"
    assert [each.name for each in tmp_path.iterdir()] == ["result.json"]
    write_atomically(path, "third\n")
    assert path.read_bytes() == b"third\n"


def test_one_file_under_two_names_is_one_file(tmp_path):
    one, other = tmp_path / "In.jsonl", tmp_path / "in.jsonl"
    one.write_text("x")
    if (
        not other.exists()
    ):  # case tells files apart here: a link imitates a system where it does not
        os.link(one, other)
    assert is_same_file(one, other)
    assert is_same_file(tmp_path / "new", tmp_path / "." / "new")
    assert not is_same_file(one, tmp_path / "new")


def test_results_do_not_overwrite_their_prompts_under_another_name(tmp_path, capsys):
    one, other = tmp_path / "In.jsonl", tmp_path / "in.jsonl"
    one.write_text('{"id": 1, "prompt": "a"}\n')
    if not other.exists():
        os.link(one, other)
    assert main(["decode", "--prompts", str(one), "--output", str(other)]) == 2
    assert "--prompts and --output are the same file" in capsys.readouterr().err


class Wrapped(io.TextIOWrapper):
    """A terminal of another encoding."""

    def isatty(self):
        return True


@pytest.fixture
def in_old_terminal(monkeypatch):
    """Return the exit code and the text that a terminal with Windows' old encoding shows."""

    def run(*arguments):
        sent = io.BytesIO()
        terminal = Wrapped(sent, encoding="cp1252")
        monkeypatch.setenv("TERM", "xterm")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            patch.setattr(sys, "stderr", terminal)
            code = main(list(arguments))
        terminal.flush()
        return code, sent.getvalue().decode("cp1252")

    return run


@pytest.mark.parametrize("arguments", [["--help"], ["decode", "--help"], ["strategies"]])
def test_help_and_tables_fit_an_encoding_with_few_characters(in_old_terminal, arguments):
    code, shown = in_old_terminal(*arguments)
    assert code == 0
    assert "decode" in shown or "kangaroo" in shown


def test_message_with_a_character_that_is_missing_is_still_told(in_old_terminal):
    code, shown = in_old_terminal("strategies", "show", "→ä")
    assert code == 2
    assert "unknown strategy '?ä'" in shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_table_keeps_to_the_width_of_the_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    for name, value in (("COLUMNS", "50"), ("TERM", "xterm"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    _strategies.print_table(
        ("name", "summary"), [("kangaroo", "drafts with its first layers " * 9)]
    )
    printed = re.sub("\x1b\\[[01]?m", "", terminal.getvalue())  # bold is no colour
    assert max(map(len, printed.splitlines())) <= 50
    assert "\x1b" not in printed

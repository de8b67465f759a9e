"""Completion: what is answered to a half-typed line, and what shells make of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from specframe.bench import _transformers_options
from specframe.cli import _shell_completion, main
from specframe.cli._shell_completion import FILES, add_line, kept_by_bash, resolver_of_typer, split
from test_cli import install

LINE, WORD = "_SPECFRAME_LINE", "_SPECFRAME_WORD"


@pytest.fixture
def answer(monkeypatch, capsys):
    """Return what a shell is answered about a line that ends at the cursor."""

    def ask(line, shell="fish", word=None):
        monkeypatch.setenv("_SPECFRAME_COMPLETE", shell)
        monkeypatch.setenv(LINE, f"specframe {line}")
        if word is not None:
            monkeypatch.setenv(WORD, word)
        code = main([])
        said = capsys.readouterr()
        assert (code, said.err) == (0, "")
        return [each.partition("\t")[0] for each in said.out.splitlines()]

    return ask


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dec", ["decode"]),
        ("bench comp", ["compare"]),
        ("demo ", ["build"]),  # a plug-in's command
        ("--vers", ["--version"]),
        ("decode --max", ["--max-new-tokens"]),
        ("decode --no-ch", ["--no-chat"]),
        ("decode --print", ["--print-config"]),
        ("decode --strategy early", ["early-exit"]),
        ("decode --strategy=early", ["--strategy=early-exit"]),
        ("check prompt", ["prompt-lookup"]),
        ("train k", ["kangaroo"]),
        ("strategies show ear", ["early-exit"]),
        ("decode --verifier ty", ["typical"]),
        ("decode --stop-policy ada", ["adaedl", "adaptive-confidence"]),
        ("decode --dtype bf", ["bfloat16"]),
        ("decode --device c", ["cpu", "cuda", "cuda:0"]),
        ("decode -o thr", ["threshold="]),
        ("decode -o tree=", ["tree=true", "tree=false"]),
        ("decode -o steps=", []),
        ("decode -o steps=3 -o ste", []),
        ("decode -o stop.th", ["stop.threshold="]),
        ("decode --strategy prompt-lookup -o ma", ["max_ngram=", "match="]),
        ("decode --strategy prompt-lookup -o match=l", ["match=latest", "match=leftmost"]),
        ("decode --draft-model x -o thr", ["threshold="]),
        ("decode --draft-model x -o tree_", []),
        ("check early-exit -o e", ["exit_layer="]),
        ("decode --stop-policy svip -o stop.f", ["stop.factor="]),
        ("decode --verifier typical -o ver", ["verifier.epsilon=", "verifier.delta="]),
        ("decode --strategy nothing -o ", []),
        ("bench --strategies none,ea", ["none,early-exit"]),
        ("bench --strategies none,kangaroo:steps=2:tree=t", ["none,kangaroo:steps=2:tree=true"]),
        ("bench --strategies hf-as", ["hf-assisted"]),
        ("bench -o hf-assisted.m", ["hf-assisted.model="]),
        ("bench -o kanga", ["kangaroo."]),
        ("bench --sweep kangaroo.tree=", ["kangaroo.tree=true", "kangaroo.tree=false"]),
        ("--show-completion f", ["fish"]),
        ("decode 'unfinished quote --str", []),
        ("nothing --x", []),
        ("decode -m folder", []),  # files, which a shell knows better
    ],
)
def test_line_is_completed(answer, line, expected):
    assert answer(line) == expected


@pytest.mark.parametrize(
    "flag", ["--version", "--help", "--show-completion zsh", "--install-completion zsh"]
)
def test_asking_does_nothing_else(answer, flag, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert "decode" in answer(f"{flag} ")
    assert answer(f"{flag} dec") == ["decode"]
    assert list(tmp_path.iterdir()) == []


def test_strategy_of_a_file_of_settings_has_its_options(answer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text("[decode]\nstrategy = 'prompt-lookup'\n")
    assert answer("decode -c run.toml -o refe") == ["reference="]
    assert answer("decode -c missing.toml -o thr") == ["threshold="]


def test_help_is_beside_a_value_in_one_line(monkeypatch, capsys):
    monkeypatch.setenv("_SPECFRAME_COMPLETE", "zsh")
    monkeypatch.setenv(LINE, "specframe decode --strategy ")
    assert main([]) == 0
    lines = [each.split("\t") for each in capsys.readouterr().out.splitlines()]
    assert all(len(each) == 2 and each[1] for each in lines)


@pytest.mark.parametrize(
    ("line", "word", "expected"),
    [
        ("decode --strategy=ka", "ka", ["kangaroo"]),
        ("decode --strategy=", "=", ["draft-model", "early-exit", "first", "kangaroo"]),
        ("decode -o tree=", "=", ["true", "false"]),
        ("decode -o tree=t", "t", ["true"]),
        ("decode -o tree=t", "tree=t", ["tree=true"]),  # where "=" breaks no word
        ("bench --strategies kangaroo:", ":", ["adapter=", "exit_layer="]),
    ],
)
def test_bash_is_answered_the_part_that_it_replaces(answer, line, word, expected):
    assert answer(line, "bash", word)[: len(expected)] == expected


def test_word_that_is_not_the_end_of_the_line_is_kept_out():
    assert kept_by_bash("a=b", "x") == ""


@pytest.mark.cli
def test_answers_import_no_torch(tmp_path):
    lines = ["decode --strategy ", "decode -o ", "bench -o ", "bench --strategies kangaroo:", "de"]
    code = (
        "import os, sys\n"
        "from specframe.cli import main\n"
        "os.environ['_SPECFRAME_COMPLETE'] = 'bash'\n"
        f"for line in {lines!r}:\n"
        f"    os.environ[{LINE!r}] = 'specframe ' + line\n"
        "    assert main([]) == 0\n"
        "heavy = {'torch', 'transformers', 'numpy', 'cattrs', 'tomllib'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, cwd=tmp_path, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "hf-assisted." in done.stdout


def test_baselines_are_named_without_torch():
    assert "hf" in _transformers_options.BASELINES


@pytest.mark.cli
def test_plugins_strategies_and_options_are_completed_and_broken_ones_are_silent(tmp_path):
    good = (
        "import attrs, specframe\n"
        "@attrs.frozen\n"
        "class Options:\n"
        "    loud: bool = specframe.option(False, help='shout')\n"
        "@specframe.hookimpl\n"
        "def specframe_register_drafters(register):\n"
        "    register('parrot', 'parrot_plugin:Parrot', options=Options)\n"
    )
    install(tmp_path, "parrot", good)
    seen = install(tmp_path, "shaky", "raise RuntimeError('no luck')\n")
    script = (
        "import os\n"
        "from specframe.cli import main\n"
        "for line in ('--strategy pa', '--strategy parrot -o ', '--strategy parrot -o loud=t'):\n"
        f"    os.environ[{LINE!r}] = 'specframe decode ' + line\n"
        "    main([])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | seen_beside(seen) | {"_SPECFRAME_COMPLETE": "bash"},
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout.split()[:2] == ["parrot", "loud="]
    assert done.stdout.split()[-1] == "loud=true"


def seen_beside(environment):
    """Return the environment of a plug-in, with the path so far after it."""
    paths = [environment["PYTHONPATH"], os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


BASH = """
source "$1"
COMP_LINE="$2" COMP_POINT=${#2} COMP_WORDS=(specframe decode -o tree = t) COMP_CWORD=5
_specframe_completion "$3"
printf '%s\\n' "${COMPREPLY[@]}"
complete -p specframe
"""


@pytest.fixture
def command(tmp_path):
    """Return a command named specframe that is the one under test."""
    path = tmp_path / "bin" / "specframe"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m specframe "$@"\n')
    path.chmod(0o755)
    return path


def script_file(folder, shell, capsys):
    assert main(["--show-completion", shell]) == 0
    path = folder / f"_specframe.{shell}"
    path.write_text(capsys.readouterr().out)
    return path


@pytest.mark.cli
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_understands_its_script(tmp_path, command, capsys):
    script = script_file(tmp_path, "bash", capsys)
    done = subprocess.run(
        ["bash", "-c", BASH, "bash", script, "specframe decode -o tree=t", command],
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "true\ncomplete -o default -F _specframe_completion specframe\n"


@pytest.mark.cli
@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
@pytest.mark.parametrize(
    ("line", "expected"),
    [("decode -o tree=t", "tree=true"), ("decode -p _spec", "_specframe.fish")],
)
def test_fish_understands_its_script(tmp_path, command, capsys, line, expected):
    script = script_file(tmp_path, "fish", capsys)
    code = f"source {script}; complete -C 'specframe {line}'"
    done = subprocess.run(
        ["fish", "-c", code],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"},
        text=True,
    )
    assert done.stdout.split()[:1] == [expected]


@pytest.mark.cli
@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_can_read_its_script(tmp_path, capsys):
    script = script_file(tmp_path, "zsh", capsys)
    done = subprocess.run(["zsh", "-n", script], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("shell", "place", "start"),
    [
        ("bash", ".bash_completions/specframe.sh", ".bashrc"),
        ("zsh", ".zfunc/_specframe", ".zshrc"),
        ("fish", ".config/fish/completions/specframe.fish", None),
    ],
)
def test_script_is_installed_once_where_the_shell_looks(home, capsys, shell, place, start):
    if start:
        (home / start).write_bytes(b"alias x=y")
    for _ in range(2):
        assert main(["--install-completion", shell]) == 0
    assert str(home / place) in capsys.readouterr().out
    assert (home / place).read_text().count("_SPECFRAME_LINE") >= 1
    if start:
        first, *added = (home / start).read_text().splitlines()
        assert first == "alias x=y"
        assert len(added) == 1


def test_shell_is_that_of_the_user_unless_it_is_named(monkeypatch, capsys):
    monkeypatch.setenv("SHELL", "/usr/local/bin/zsh")
    assert main(["--show-completion"]) == 0
    assert capsys.readouterr().out.startswith("#compdef specframe")


@pytest.mark.parametrize(("shell", "name"), [("/bin/tcsh", "shell 'tcsh'"), ("", "without name")])
def test_shell_without_a_script_is_refused(home, monkeypatch, capsys, shell, name):
    monkeypatch.setenv("SHELL", shell)
    assert main(["--install-completion"]) == 2
    assert name in capsys.readouterr().err
    assert list(home.iterdir()) == []


def test_line_of_a_file_with_other_line_ends_is_found_again(tmp_path):
    path = tmp_path / ".bashrc"
    path.write_bytes(b"a\r\nb\r\n")
    add_line(path, "b")
    assert path.read_bytes() == b"a\r\nb\r\n"


def test_every_shell_has_its_script():
    from specframe.cli._completions import shells

    assert [name for name, _ in shells()] == list(FILES)


def test_names_of_commands_are_known_before_they_are_built():
    from typer.main import get_group

    from specframe.cli._app import build_app, names_of

    app = build_app()
    assert names_of(app) == set(get_group(app).commands)


def test_without_typers_resolver_nothing_is_completed(answer, monkeypatch):
    assert resolver_of_typer() is not None
    moved = type("Command", (), {"__module__": "typer.elsewhere.core"})
    monkeypatch.setattr(_shell_completion, "TyperGroup", moved)
    assert resolver_of_typer() is None
    assert answer("dec") == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a b", ["a", "b"]),
        ("a 'b c' d\\ e", ["a", "b c", "d e"]),
        ("a 'b c", ["a", "b c"]),
        ("a # b", ["a", "#", "b"]),
        ("", []),
    ],
)
def test_a_line_is_split_as_by_a_shell(line, words):
    assert split(line) == words

"""The command line from outside: what goes where, exit codes, messages, plug-ins."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from specframe.cli import main

pytestmark = pytest.mark.cli


def specframe(*arguments, cwd, stdin=None, **environment):
    """Run the command in a separate process and return what it did."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("SPECFRAME_")}
    return subprocess.run(
        [sys.executable, "-m", "specframe", *map(str, arguments)],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        check=False,
        cwd=cwd,
        env=plain | environment,
        text=True,
        timeout=240,
    )


def install(folder, name, code):
    """Lay out a plug-in as an installed distribution; returns the environment that sees it."""
    (folder / f"{name}_plugin.py").write_text(code)
    about = folder / f"{name}-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(f"[specframe]\n{name} = {name}_plugin\n")
    return {"PYTHONPATH": str(folder)}


LIGHT = [
    ["--help"],
    ["--version"],
    ["plugins"],
    ["strategies"],
    ["strategies", "show", "kangaroo"],
    ["decode", "--help"],
    ["train", "--help"],
    ["check", "--help"],
    ["trace", "view", "--help"],
    ["new", "--help"],
]


def test_help_and_listings_import_no_torch(tmp_path):
    code = (
        "import sys\n"
        "from specframe.cli import main\n"
        f"for arguments in {LIGHT!r}:\n"
        "    assert main(arguments) == 0, arguments\n"
        "    heavy = {'torch', 'transformers', 'numpy', 'cattrs', 'jinja2'} & sys.modules.keys()\n"
        "    assert not heavy, (arguments, heavy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, cwd=tmp_path, text=True
    )
    assert done.returncode == 0, done.stderr


def test_strategies_are_plain_lines_in_a_pipe(tmp_path):
    done = specframe("strategies", cwd=tmp_path)
    assert done.returncode == 0
    header, *rows = done.stdout.splitlines()
    assert header.split()[:5] == ["strategy", "drafter", "stop", "policy", "verifier"]
    by_name = {row.split()[0]: row for row in rows}
    assert list(by_name) == sorted(by_name)
    assert by_name["kangaroo"].split()[1:6] == ["kangaroo", "confidence", "greedy", "/", "match"]
    assert "\x1b" not in done.stdout


def test_show_tells_parts_guarantee_options_and_plugin(tmp_path):
    done = specframe("strategies", "show", "kangaroo", cwd=tmp_path)
    assert done.returncode == 0
    for part in ("confidence", "greedy", "match", "lossless", "kangaroo (specframe "):
        assert part in done.stdout
    for option in ("adapter", "exit_layer", "steps", "threshold", "stop.threshold"):
        assert f"\n{option} " in done.stdout
    assert "probability" in done.stdout


def test_plugins_tell_what_each_registers(tmp_path):
    done = specframe("plugins", cwd=tmp_path)
    assert done.returncode == 0
    assert "strategy kangaroo, drafter kangaroo, trainer kangaroo" in done.stdout
    assert "broken" not in done.stdout


def test_demo_package_brings_its_command(tmp_path):
    done = specframe("demo", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "build" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["bogus"], "No such command 'bogus' (see: specframe --help)"),
        (["decode", "--bogus"], "No such option: --bogus"),
        (["decode", "--dtype", "int8"], "'int8' is not one of 'auto', 'float64'"),
        (["decode", "--max-new-tokens", "0"], "'--max-new-tokens': Input should be greater"),
        (["decode", "--strategy", "kangaro"], "did you mean 'kangaroo'?"),
        (["decode", "--verifier", "gredy"], "unknown verifier 'gredy': did you mean 'greedy'?"),
        (["decode", "--stop-policy", "x"], "unknown stop policy 'x'. Available: adaedl, "),
        (["decode", "x", "-p", "y"], "a prompt was given twice"),
        (["decode", "-p", "missing.txt"], "No such file or directory: missing.txt"),
        (["decode", "-p", "."], "Is a directory: ."),
        (["decode", "-o", "steps"], "-o takes KEY=VALUE"),
        (["decode", "--device", "gpu"], "--device is 'gpu'"),
        (["decode", "--temperature", "-1"], "'--temperature': Input should be greater"),
        (["decode", "--temperature", "warm"], "'--temperature'"),
        (["decode", "--temperature", "nan"], "'--temperature'"),
        (["decode", "--temperature", "inf"], "--temperature must be a number, got inf"),
        (["decode", "--top-k", "-1"], "'--top-k': Input should be greater"),
        (["decode", "--top-p", "0"], "--top-p must be above 0 and at most 1, got 0.0"),
        (["decode", "--top-p", "nan"], "--top-p must be above 0 and at most 1, got nan"),
        (["decode", "--min-p", "1.5"], "--min-p must lie between 0 and 1, got 1.5"),
        (["decode", "--repetition-penalty", "0"], "must be a number above 0, got 0.0"),
        (["decode", "--repetition-penalty", "inf"], "must be a number above 0, got inf"),
        (["decode", "--seed", "-1"], "'--seed': Input should be greater"),
        (["decode", "--seed", str(2**64)], "'--seed': Input should be less"),
        (["decode", "--batch-size", "0"], "'--batch-size': Input should be greater"),
        (["decode", "x", "--batch-size", "2"], "it needs --prompts"),
        (
            ["decode", "x", "--verifier", "greedy", "--temperature", "0.7"],
            "--verifier greedy decodes at temperature 0 only and --temperature is 0.7",
        ),
        (["decode", "--prompts", "in.jsonl"], "--prompts needs --output FILE.jsonl"),
        (["decode", "--output", "out.jsonl"], "--output needs --prompts FILE.jsonl"),
        (
            ["decode", "x", "--prompts", "in.jsonl", "--output", "out.jsonl"],
            "PROMPT cannot be given beside --prompts",
        ),
        (
            ["decode", "--prompts", "in.jsonl", "--output", "out.jsonl"],
            "No such file or directory: in.jsonl",
        ),
        (["strategies", "show", "kangaro"], "unknown strategy 'kangaro': did you mean"),
        (["train", "kangaroo"], "Missing option '--model' / '-m'"),
        (
            ["train", "kangaro", "-m", "x", "--data", "y", "--output", "z"],
            "unknown trainer 'kangaro': did you mean 'kangaroo'?",
        ),
        (
            ["train", "kangaroo", "-m", "x", "--data", "y", "--output", "z", "--batch-size", "0"],
            "batch_size is 0",
        ),
    ],
)
def test_bad_input_is_one_message_and_exit_code_two(
    tmp_path, arguments, complaint, monkeypatch, capsys
):
    """In this process: that a process says the same is the next test's."""
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert complaint in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["bogus"], "No such command 'bogus' (see: specframe --help)"),
        (["decode", "--strategy", "kangaro"], "did you mean 'kangaroo'?"),
    ],
)
def test_a_process_ends_with_that_message_and_that_code(tmp_path, arguments, complaint):
    done = specframe(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_empty_standard_input_is_an_empty_prompt(tmp_path):
    for arguments in (["decode"], ["decode", "-"]):
        done = specframe(*arguments, cwd=tmp_path, stdin="")
        assert done.returncode == 2
        assert "the prompt is empty (standard input)" in done.stderr


def test_debug_shows_the_traceback_as_well(tmp_path):
    done = specframe("strategies", "show", "x", cwd=tmp_path, SPECFRAME_DEBUG="1")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ") or "error: " in done.stderr


def test_reader_that_goes_away_is_no_error(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "specframe", "strategies", "show", "kangaroo"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            check=False,
            cwd=tmp_path,
            text=True,
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_broken_plugin_is_one_warning_and_the_command_runs(tmp_path):
    seen = install(tmp_path, "shaky", "raise RuntimeError('no luck')\n")
    done = specframe("strategies", cwd=tmp_path, **seen)
    assert done.returncode == 0
    assert "kangaroo" in done.stdout
    warning = "warning: plug-in 'shaky' (shaky 1.2) cannot be imported: RuntimeError: no luck (at "
    assert done.stderr.startswith(warning)
    assert done.stderr.count("shaky 1.2") == 1
    listed = specframe("plugins", cwd=tmp_path, **seen)
    assert "broken: plug-in 'shaky' (shaky 1.2) cannot be imported" in listed.stdout
    assert listed.stderr == ""


COMMANDS = """
import typer
from specframe import hookimpl

@hookimpl
def specframe_register_commands(app: typer.Typer) -> None:
    @app.command()
    def {name}(count: {kind}) -> None:
        typer.echo("hop " * count)
        raise typer.Exit(3)
"""


def test_plugin_brings_a_command_with_its_own_exit_code(tmp_path):
    seen = install(tmp_path, "hopper", COMMANDS.format(name="hop", kind="int"))
    done = specframe("hop", "2", cwd=tmp_path, **seen)
    assert (done.returncode, done.stdout, done.stderr) == (3, "hop hop \n", "")


@pytest.mark.parametrize(
    ("name", "kind", "cause"),
    [
        ("decode", "int", "adds command 'decode', which there is already"),
        ("hop", "'Missing'", "adds a command that cannot be built: NameError"),
    ],
)
def test_command_that_cannot_be_added_leaves_the_others_alone(tmp_path, name, kind, cause):
    seen = install(tmp_path, "hopper", COMMANDS.format(name=name, kind=kind))
    done = specframe("strategies", cwd=tmp_path, **seen)
    assert done.returncode == 0
    assert f"warning: plug-in 'hopper' (hopper 1.2) {cause}" in done.stderr
    assert specframe("decode", "--help", cwd=tmp_path, **seen).returncode == 0


FAULT = """
import typer
from specframe import hookimpl

@hookimpl
def specframe_register_commands(app: typer.Typer) -> None:
    @app.command()
    def hop() -> None:
        raise {error}
"""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        ("ZeroDivisionError('x')", 2, "error: plug-in 'hopper' (hopper 1.2) raised at "),
        ("typer.Abort", 2, "error: aborted"),
        ("KeyboardInterrupt", 130, "interrupted"),
    ],
)
def test_fault_of_a_command_shows_no_traceback(tmp_path, error, code, said):
    seen = install(tmp_path, "hopper", FAULT.format(error=error))
    done = specframe("hop", cwd=tmp_path, **seen)
    assert done.returncode == code
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr

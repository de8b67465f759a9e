"""`specframe plugins`: what is installed, what it registers, and what was left out and why."""

import json
import sys

import pytest

from specframe import API_VERSION
from specframe._plugins.discovery import _discover_once
from specframe.cli import main

ABLE = """from specframe import hookimpl

@hookimpl
def specframe_register_drafters(register):
    register("able", "able_one:Drafter", summary="a test drafter")

@hookimpl
def specframe_round(round):
    pass
"""


@pytest.fixture
def listed(tmp_path, monkeypatch, capsys):
    """Install three plug-ins, one of them broken; return what `plugins` prints."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, source in (
        ("able", ABLE),
        ("bad", "import specframe_nope\n"),
        ("unasked", ABLE.replace("able", "unasked")),
    ):
        (tmp_path / f"{name}_one.py").write_text(source)
        info = tmp_path / f"specframe_{name}-0.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: specframe-{name}\nVersion: 0.3\n")
        (info / "entry_points.txt").write_text(f"[specframe]\n{name} = {name}_one\n")
    monkeypatch.setenv("SPECFRAME_PLUGINS", "able,bad")
    _discover_once.cache_clear()

    def listed(*flags):
        assert main(["plugins", *flags]) == 0
        return capsys.readouterr().out

    yield listed
    _discover_once.cache_clear()
    for name in ("able_one", "bad_one", "unasked_one"):
        sys.modules.pop(name, None)


def line_of(text, name):
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return line


def test_the_plain_list_has_what_was_loaded_and_what_is_broken(listed):
    text = listed()
    assert line_of(text, "able").split() == ["able", "specframe-able", "0.3", "drafter", "able"]
    assert "broken: plug-in 'bad' (specframe-bad 0.3) cannot be imported" in text
    assert "unasked" not in text
    assert "specframe_round" not in text


def test_all_has_what_nobody_asked_for_too(listed):
    text = listed("--all")
    assert line_of(text, "unasked").endswith("not loaded")
    assert line_of(text, "bad").endswith("not loaded")
    assert (
        "not loaded: plug-in 'unasked' (specframe-unasked 0.3): SPECFRAME_PLUGINS does no" in text
    )
    assert text.count("cannot be imported") == 1


def test_hooks_are_listed(listed):
    text = listed("--hooks", "--all")
    assert line_of(text, "able").endswith("specframe_register_drafters, specframe_round")
    assert line_of(text, "unasked").endswith("not loaded")


def test_json_says_everything_in_one_object(listed, tmp_path):
    told = json.loads(listed("--json"))
    assert (told["schema"], told["api"]) == (1, API_VERSION)
    by_name = {plugin["name"]: plugin for plugin in told["plugins"]}
    able = by_name["able"]
    assert able["loaded"]
    assert not able["built_in"]
    assert able["hooks"] == ["specframe_register_drafters", "specframe_round"]
    assert able["components"] == [
        {
            "kind": "drafter",
            "name": "able",
            "implementation": "able_one:Drafter",
            "summary": "a test drafter",
            "lossy": False,
            "options": [],
            "registered_at": f"{tmp_path / 'able_one.py'}:5",
        }
    ]
    assert by_name["kangaroo"]["strategies"] == ["kangaroo"]
    assert by_name["unasked"]["reason"] == "SPECFRAME_PLUGINS does not name it"
    assert not by_name["bad"]["loaded"]
    assert by_name["bad"]["reason"] == told["problems"][0]


@pytest.mark.parametrize("command", ["strategies", "plugins"])
def test_debugging_shows_the_traceback_of_a_plugin_that_was_left_out(
    listed, monkeypatch, capsys, command
):
    listed()
    for debug, shown in (("0", False), ("1", True)):
        monkeypatch.setenv("SPECFRAME_DEBUG", debug)
        assert main([command]) == 0
        told = capsys.readouterr().err
        assert ("Traceback" in told) == shown
        assert not shown or "ModuleNotFoundError: No module named 'specframe_nope'" in told


@pytest.mark.usefixtures("listed")
def test_a_plugin_that_is_broken_is_told_once_beside_a_name_that_is_not_there(capsys):
    assert main(["decode", "x", "--strategy", "bad"]) == 2
    warning, error = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: plug-in 'bad' (specframe-bad 0.3) cannot be imported")
    assert error.startswith("error: unknown strategy 'bad'. Available: ")
    assert error.endswith("It may be in a plug-in that is broken: see the warning above.")


@pytest.mark.parametrize("command", [["decode", "x"], ["check", "kangaroo"]])
@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["-o", "steps=banana"], "option 'steps' of strategy 'kangaroo' must be a whole number"),
        (["-o", "steps=0"], "must be a whole number >= 1"),
        (["-o", "stepps=1"], "has no option 'stepps': did you mean 'steps'?"),
        (["-o", "stop.threshold=x"], "of stop policy 'confidence' must be a number"),
        (["-o", "verifier.x=1"], "verifier.x were given and no verifier is named"),
        (["--verifier", "greedy", "-o", "verifier.x=1"], "verifier 'greedy' takes no options"),
        (["-o", "x.steps=1"], "only 'verifier.' and 'stop.' can stand before a dot"),
    ],
)
def test_bad_options_are_refused_before_anything_is_imported_or_announced(
    command, given, complaint, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main([*command, *given]) == 2
    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith("error: ")
    assert complaint in message

"""``specframe doctor``: what it finds, in words and as JSON, and which exit code follows."""

from __future__ import annotations

import io
import json
import re
import sys
from importlib.metadata import version

import pytest
import torch

from specframe import PluginError
from specframe._doctor import machine as diagnosis
from specframe._engine.runners import recording
from specframe._plugins.plugin_info import PluginInfo
from specframe._plugins.registry import Registry
from specframe.cli import main
from specframe.cli._doctor import show


@pytest.fixture
def doctor(capsys, monkeypatch):
    """Return the exit code and the observations as JSON has them, by topic."""
    for name in diagnosis.OURS:
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        code = main(["doctor", "--json", *arguments])
        printed = json.loads(capsys.readouterr().out)
        topics = {}
        for each in printed["observations"]:
            topics.setdefault(each["topic"], []).append(each)
        assert printed["schema"] == 1
        assert printed["is_fine"] == (code == 0)
        return code, topics

    return run


def only(observations):
    return [(each.state, each.text, each.fix) for each in observations]


def test_sound_installation_is_fine(doctor):
    code, topics = doctor()
    assert code == 0
    assert f"torch {version('torch')}" in topics["versions"][0]["text"]
    assert {"devices", "plug-ins", "runner", "terminal", "versions"} <= topics.keys()
    assert "model" not in topics


@pytest.mark.parametrize(
    ("line", "installed", "state", "text", "fix"),
    [
        (
            "torch>=2.11",
            "2.9.0",
            "refused",
            "torch 2.9.0 is installed and specframe needs >=2.11",
            'pip install "torch>=2.11"',
        ),
        (
            "pluggy>=1.7",
            None,
            "refused",
            "pluggy is not installed and specframe needs it",
            'pip install "pluggy>=1.7"',
        ),
        (
            'accelerate>=1.1; extra == "train"',
            None,
            "note",
            "accelerate is not installed, which `specframe train` needs",
            'pip install "specframe[train]"',
        ),
        (
            "accelerate>=1.1; extra == 'train'",
            "0.9",
            "note",
            "accelerate 0.9 is installed and specframe needs >=1.1",
            'pip install "accelerate>=1.1"',
        ),
    ],
)
def test_version_that_does_not_fit_is_named_with_what_installs_another(
    line, installed, state, text, fix
):
    assert only(diagnosis.requirement(line, installed)) == [(state, text, fix)]


@pytest.mark.parametrize(
    ("line", "installed"),
    [
        ("torch>=2.11", "2.13.0+cpu"),
        ("torch>=2.11", "2.14.0.dev20260101"),
        ('colorama; sys_platform == "never"', None),
        ("attrs", "1"),
    ],
)
def test_version_that_fits_is_not_worth_a_line(line, installed):
    assert only(diagnosis.requirement(line, installed)) == []


def test_threads_beyond_the_cores_are_noted(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 999)
    first = next(diagnosis.devices())
    assert first.state == "note"
    assert first.fix.startswith(f"set OMP_NUM_THREADS={diagnosis.usable_cores()}")


def test_gpu_that_torch_cannot_use_is_noted(monkeypatch):
    monkeypatch.setattr(diagnosis.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for version, part in ((None, "this build of torch has no CUDA"), ("13.0", "finds no CUDA")):
        monkeypatch.setattr(torch.version, "cuda", version)
        (found,) = diagnosis.accelerators()
        assert found.state == "note"
        assert part in found.text


def test_runner_that_does_not_exist_is_refused(doctor, monkeypatch):
    monkeypatch.setenv("SPECFRAME_RUNNER", "eagr")
    code, topics = doctor()
    assert code == 2
    assert topics["runner"][0]["state"] == "refused"
    assert "must be one of eager, graph, fused" in topics["runner"][0]["text"]


def test_runner_without_its_compiler_is_noted(monkeypatch):
    monkeypatch.setenv("SPECFRAME_RUNNER", "fused")
    monkeypatch.setattr(diagnosis.shutil, "which", lambda _: None)
    named, missing = diagnosis.runner()
    assert named.text.startswith("fused on ")
    assert "a C compiler, which is missing" in missing.text


def test_variable_with_a_slip_in_its_name_is_noted():
    found = only(
        diagnosis.variables(
            {"SPECFRAME_RUNER": "x", "SPECFRAME_DEBUG": "1", "HF_TOKEN": "secret", "PATH": "y"}
        )
    )
    assert found == [
        ("fine", "SPECFRAME_DEBUG=1 (1 shows tracebacks and watches drafters)", None),
        (
            "note",
            "SPECFRAME_RUNER means nothing: did you mean 'SPECFRAME_RUNNER'?",
            "unset SPECFRAME_RUNER",
        ),
    ]


def test_every_variable_that_is_read_is_known():
    from test_house import ROOT

    text = "".join(
        path.read_text(encoding="utf-8")
        for package in ("specframe", "strategies", "verifiers", "models")
        for path in (ROOT / package).rglob("*.py")
    )

    named = set(re.findall(r"(?<!_)SPECFRAME_[A-Z_]*[A-Z](?![A-Z_])", text))
    assert named <= diagnosis.OURS.keys()


def test_page_tells_of_the_variables_and_plugins_that_there_are():
    from test_house import PROJECT, ROOT

    page = (ROOT / "docs" / "shell.md").read_text(encoding="utf-8")
    ours = len(PROJECT["project"]["entry-points"]["specframe"])
    assert f" {ours} of specframe's own" in page
    for name in diagnosis.OURS:
        assert f"`{name}`" in page or f"`{name.removeprefix('SPECFRAME_TESTING')}`" in page


def test_broken_plugin_is_refused_and_unwise_one_noted():
    plugins = [
        PluginInfo("kangaroo", "specframe", "1", "specframe_kangaroo"),
        PluginInfo("echo", "specframe-echo", "2.0", "echo"),
    ]
    registry = Registry(
        plugins=plugins, problems=[PluginError("plug-in 'x' is broken.")], warnings=["slow"]
    )
    assert only(diagnosis.plugins(registry)) == [
        ("fine", "1 of specframe's own, plug-in 'echo' (specframe-echo 2.0)", None),
        ("refused", "plug-in 'x' is broken.", None),
        ("note", "slow", None),
    ]


def test_terminal_that_lacks_characters_is_noted(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
    (found,) = diagnosis.terminal()
    assert (found.state, found.fix) == ("note", "set PYTHONUTF8=1")


def test_people_read_paragraphs_as_wide_as_their_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    show([diagnosis.Observation("devices", "refused", "many words " * 20, "fewer")])
    *lines, last = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("devices  REFUSED  many words")
    assert lines[-1].endswith("-> fewer")
    assert last == "1 refused, 0 notes, 0 ok"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--strategy", "kangaroo"], "--strategy is seen on a model: name one with -m"),
        (["--exact"], "--exact is seen on a model"),
        (["-m", "x", "-o", "steps=1"], "--option belongs to a strategy: name it with --strategy"),
        (["-m", "x", "--strategy", "kangaro"], "unknown strategy 'kangaro'"),
        (["-m", "x", "--device", "gpu"], "--device is 'gpu'"),
    ],
)
def test_question_that_cannot_be_answered_is_refused(capsys, arguments, complaint):
    assert main(["doctor", *arguments]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.models
def test_model_that_fits_is_described_with_what_is_ready_on_it(doctor, tiny, tmp_path):
    model = tiny.model()
    folder = tiny.saved(tmp_path / "model", model)
    code, topics = doctor("-m", str(folder), "--exact", "--dtype", "float64")
    assert code == 0
    assert (
        "4 layers of 32, vocabulary 61, context 256, float64 on cpu" in topics["model"][0]["text"]
    )
    assert [each["state"] for each in topics["tokenizer"]] == ["note", "note"]
    assert topics["exact mode"][0]["state"] == "fine"
    assert topics["strategy none"][0]["state"] == "fine"
    assert "specframe train kangaroo" in topics["strategy kangaroo"][0]["text"]
    assert topics["strategy kangaroo"][0]["state"] == "note"
    assert "needs option 'exit_layer'" in topics["strategy early-exit"][0]["text"]
    tiny.adapter(folder / "kangaroo", model)
    code, topics = doctor("-m", str(folder), "--strategy", "kangaroo")
    assert (code, topics["strategy kangaroo"][0]["state"]) == (0, "fine")
    assert "; exit_layer=2, steps=6, threshold=0.6" in topics["strategy kangaroo"][0]["text"]


class Unrecordable(recording.StandIn):
    def record(self, body):
        raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.models
def test_exact_mode_that_another_runner_keeps_is_a_note(doctor, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SPECFRAME_RUNNER", "graph")
    monkeypatch.setattr(recording, "StandIn", Unrecordable)
    folder = tiny.saved(tmp_path / "model", tiny.model())
    code, topics = doctor("-m", str(folder), "--exact", "--strategy", "none")
    (told,) = topics["exact mode"]
    assert (code, told["state"]) == (0, "note")
    assert "; more slowly, on the eager runner: on the graph runner, a pass of" in told["text"]


@pytest.mark.models
def test_strategy_that_was_asked_for_and_cannot_run_is_refused(doctor, tiny, tmp_path):
    folder = tiny.saved(tmp_path / "model", tiny.model())
    asked = ["-m", str(folder), "--strategy", "early-exit"]
    code, topics = doctor(*asked, "-o", "exit_layer=9")
    assert (code, topics["strategy early-exit"][0]["state"]) == (2, "refused")
    code, topics = doctor(*asked, "-o", "exit_layer=2", "--verifier", "typical")
    assert code == 0
    assert "verifier typical (LOSSY)" in topics["strategy early-exit"][0]["text"]


def test_model_that_does_not_fit_is_refused_with_the_reason(doctor, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    code, topics = doctor("-m", str(folder))
    assert code == 2
    assert "it has no config.json" in topics["model"][0]["text"]
    assert not any(topic.startswith("strategy") for topic in topics)

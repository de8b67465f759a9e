"""``specframe check``: what it prints, its exit codes, and a repro that runs."""

import json
import os
import re
import shlex
import subprocess
import sys

import attrs
import pytest

import planted_faults as faults
import specframe
from specframe._judging.findings import PromptCheck, Report
from specframe.cli import main
from specframe.cli._check import run
from specframe.cli._display import Notes, judgement
from specframe.cli._flags import Limits, Loading
from specframe.cli._prompt_file import PromptLine
from specframe.cli._run_prompt import Show, run_prompt

pytestmark = [pytest.mark.cli, pytest.mark.models]
LINES = [PromptLine("first", [3, 14, 15]), PromptLine("second", [1, 2], max_new_tokens=6)]
LIMITS = Limits(max_new_tokens=12, seed=0)


@attrs.frozen(kw_only=True)
class Ready(Loading):
    """Stand for a model that is loaded already, with a strategy that nothing registers."""

    decoder: object = attrs.field(default=None)

    def open(self):
        return self.decoder


@pytest.fixture(scope="module")
def model(tiny):
    return tiny.model()


@pytest.fixture(scope="module")
def ties(tiny):
    return faults.with_twins(tiny.model(vocab_size=64, dtype="bfloat16"))


def ready(model, make, **arguments):
    texts = faults.texts_of(model, [line.prompt for line in LINES], 12)
    decoder = specframe.load(model, strategy=make(texts), **arguments)
    return Ready(strategy="planted", decoder=decoder)


def run_check(loading, **arguments):
    return run(LINES, 8, loading, LIMITS, **({"json": False} | arguments))


def test_identical_prompts_are_a_table_and_exit_code_zero(model, capsys):
    assert run_check(ready(model, faults.Scripted)) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("prompt  tokens  result     at  token  plain  gap  noise bound")
    assert said[1].split() == ["first", "12", "identical"]
    assert said[2].split() == ["second", "6", "identical"]
    assert said[4] == "2 prompts, 18 tokens compared, 0 differences"
    assert said[-1] == "identical: the strategy says what plain decoding says"


def test_a_numeric_tie_is_exit_code_zero_with_gap_and_bound(ties, capsys):
    assert run_check(ready(ties, faults.RoundsOtherwise)) == 0
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if "NUMERIC TIE" in line).split()
    assert re.search(r"2 prompts, \d+ tokens compared, [12] differences?, one in \d+ tokens", said)
    position, token, plain_token, gap, bound = row[-5:]
    assert int(position) >= 0
    assert token != plain_token
    assert float(gap) <= float(bound)
    assert said.endswith("NUMERIC TIE: rounding explains every difference\n")


def test_json_is_one_object_with_certificate_and_repro(ties, capsys):
    assert run_check(ready(ties, faults.RoundsOtherwise), json=True) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["schema"] == 1
    assert found["verdict"] == "tie"
    assert (found["dtype"], found["temperature"], found["seed"]) == ("bfloat16", 0.0, 0)
    assert found["num_differences"] >= 1
    assert found["difference_rate"] == found["num_differences"] / found["num_compared_tokens"]
    assert found["noise"]["bounds"]["reference"] > 0
    prompts = {prompt["id"]: prompt for prompt in found["prompts"]}
    assert list(prompts) == ["first", "second"]
    tie = next(prompt for prompt in prompts.values() if prompt["verdict"] == "tie")
    assert tie["finding"]["reasons"] == []
    assert tie["finding"]["certificate"]["gap"] == tie["finding"]["gap"]
    assert tie["repro"].startswith("python -c ")
    assert None not in found["versions"].values()


def test_ctrl_c_says_how_far_it_came(model, capsys):
    class Interrupted(faults.Scripted):
        def start(self, target, rows, captured):
            if rows.active[0].tokens[0] == LINES[1].prompt[0]:
                raise KeyboardInterrupt

    assert run_check(ready(model, Interrupted)) == 130
    said = capsys.readouterr()
    assert "interrupted; 1 of 2 prompts were compared, 1 of them identical" in said.err
    assert said.out == ""


PLUGIN = """
from specframe import hookimpl

@hookimpl
def specframe_register_verifiers(register):
    register("careless", "planted_faults:AcceptsOnePastTheMismatch")

@hookimpl
def specframe_register_drafters(register):
    register("stubborn", "stubborn_drafter:Stubborn")
"""
DRAFTER = """
from specframe import SequenceDrafter

class Stubborn(SequenceDrafter):
    def guess(self, tokens, room):
        return [7] * min(room, 2)
"""


def python(*arguments, folder):
    seen = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": seen},
        text=True,
        timeout=240,
    )


def test_a_plugin_with_a_planted_bug_is_exit_code_one_and_the_repro_shows_it(tiny, tmp_path, model):
    tiny.saved(tmp_path / "model", model)
    (tmp_path / "careless_plugin.py").write_text(PLUGIN)
    (tmp_path / "stubborn_drafter.py").write_text(DRAFTER)
    about = tmp_path / "careless-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: careless\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[specframe]\ncareless = careless_plugin\n")
    command = "-m specframe check stubborn -m model --verifier careless --num-prompts 2"
    done = python(*command.split(), "--max-new-tokens", "12", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "BUG in prompt random 1, new token " in done.stdout
    assert "own logits there choose" in done.stdout
    assert done.stdout.endswith("BUG: no rounding explains this\n")
    repro = next(line for line in done.stdout.splitlines() if line.startswith("  python -c"))
    again = python(*shlex.split(repro)[1:], folder=tmp_path)
    assert again.returncode == 0, again.stderr
    ours, plain = (eval(line)[0] for line in again.stdout.splitlines())
    assert ours[:-1] == plain[:-1]
    assert ours[-1] != plain[-1]


def test_random_prompts_stand_in_where_there_is_no_tokenizer(tiny, model, tmp_path, capsys):
    folder = tiny.saved(tmp_path, model)
    command = ["check", "none", "-m", str(folder), "--num-prompts", "3", "--max-new-tokens", "4"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [prompt["id"] for prompt in found["prompts"]] == ["random 1", "random 2", "random 3"]
    assert found["strategy"] == "none"


def test_prompts_come_from_a_file(tiny, model, tmp_path, capsys):
    folder = tiny.saved(tmp_path / "model", model)
    lines = [{"id": name, "prompt_ids": [5, 6]} for name in ("a", "b", "c")]
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    command = ["check", "none", "-m", str(folder), "--prompts", str(file), "--num-prompts", "2"]
    assert main([*command, "--max-new-tokens", "4", "--temperature", "0.7"]) == 0
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()[1:3]] == ["a", "b"]
    assert "verifier match" in said
    assert "temperature 0.7, seed 0" in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["kangaro"], "did you mean 'kangaroo'?"),
        (["kangaroo", "--num-prompts", "0"], "'--num-prompts'"),
        (["kangaroo", "-o", "stepz=1"], "stepz"),
        (["kangaroo", "--prompts", "missing.jsonl"], "No such file or directory: missing.jsonl"),
        (["kangaroo", "--verifier", "typical"], "verifier 'typical' changes what the model says"),
        (
            ["kangaroo", "--verifier", "rejection", "--temperature", "0.8"],
            "verifier 'rejection' promises a distribution at temperature 0.8",
        ),
        (
            ["kangaroo", "--verifier", "greedy", "--temperature", "0.8"],
            "verifier 'greedy' decodes at temperature 0 only",
        ),
    ],
)
def test_what_cannot_be_checked_is_refused_before_anything_is_loaded(arguments, complaint, capsys):
    assert main(["check", *arguments]) == 2
    said = capsys.readouterr()
    assert complaint in said.err
    assert "loading" not in said.err
    assert said.out == ""


def test_a_difference_that_does_not_come_back_is_still_a_mismatch():
    report = Report([PromptCheck([1], 5)], [])
    assert "decoded once more they are identical" in judgement(report)
    assert judgement(None) == ""


@pytest.mark.parametrize(
    ("make", "dtype", "code", "said"),
    [
        (faults.RoundsOtherwise, "bfloat16", 0, ": a NUMERIC TIE, float64 prefers one by "),
        (faults.StandsOneTooFar, "float32", 1, ": BUG, the logits differ from "),
    ],
)
def test_compare_judges_a_difference(tiny, make, dtype, code, said, capsys):
    model = faults.with_twins(tiny.model(vocab_size=64, dtype=dtype))
    loading = ready(model, make)
    limits, show = Limits(max_new_tokens=12), Show(compare=True)
    assert run_prompt(LINES[0].prompt, loading, limits, show, Notes()) == code
    told = capsys.readouterr().err
    assert "the tokens differ, first at new token" in told
    assert said in told

"""``specframe bench`` end to end, on a tiny model: its files, its exit codes, kill and resume."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from specframe.bench import read_results
from specframe.bench._records import ALL, Summary
from specframe.bench._run_order import slots
from specframe.cli import main
from specframe.cli.bench._prompts import read_bench_prompts

pytestmark = [pytest.mark.cli, pytest.mark.models]

QUESTIONS = [
    {"question_id": 81, "category": "writing", "turns": ["Praise tea in a line.", "Shorter."]},
    {"question_id": 161, "category": "translation", "turns": ["Der Tee ist gut."]},
    {"question_id": 401, "category": "math_reasoning", "turns": ["2 + 2 = 4, 4 + 4 = 8, 8 + 8 ="]},
]
OURS = ("none", "kangaroo", "kangaroo:tree=true")
THEIRS = ("hf", "hf-prompt-lookup", "hf-early-exit", "hf-assisted")


@pytest.fixture(scope="module")
def model(tmp_path_factory, tiny):
    """Return the folder of a Llama of four layers that speaks bytes, with its adapter."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = models.BPE(vocab={letter: index for index, letter in enumerate(letters)}, merges=[])
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    made = tiny.model(vocab_size=256, max_position_embeddings=512)
    tiny.saved(folder, made)
    tiny.adapter(folder / "kangaroo", made, exit_layer=2)
    return folder


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "question.jsonl"
    path.write_text("".join(json.dumps(question) + "\n" for question in QUESTIONS))
    return path


@pytest.fixture(scope="module")
def base(model, questions):
    """Return what every benchmark here begins with."""
    start = ["bench", "-m", str(model), "--prompts", str(questions)]
    return [*start, "--max-new-tokens", "12", "--warmups", "0"]


@pytest.fixture(scope="module")
def whole(base, model, tmp_path_factory):
    """Run everything once; return the folder and the exit code."""
    folder = tmp_path_factory.mktemp("bench") / "results"
    arguments = [*base, "--strategies", ",".join(OURS + THEIRS), "--repeats", "2"]
    arguments += ["-o", "hf-early-exit.exit_layer=2", "-o", f"hf-assisted.model={model}"]
    arguments += ["--spec-bench-answers", "--profile", "--output", str(folder)]
    return folder, main(arguments)


def test_a_benchmark_leaves_every_file_behind(whole):
    folder, code = whole
    assert code == 0
    found = {path.name for path in folder.iterdir()}
    assert found == {
        "answers",
        "report.html",
        "results.json",
        "runs.jsonl",
        "summary.csv",
        "trace",
    }
    assert [path.suffix for path in sorted((folder / "trace").iterdir())] == [".json", ".txt"] * 7
    trace = json.loads((folder / "trace" / "kangaroo.json").read_text())
    assert trace["traceEvents"]
    assert "Self CPU" in (folder / "trace" / "hf.txt").read_text()


def test_results_fit_the_schema_and_hold_every_run(whole):
    results = read_results(whole[0])  # structures it, and refuses what is wrong
    assert [each.error for each in results.header.strategies] == [None] * 7
    assert [each.error for each in results.runs] == [None] * 42
    assert len({each.key for each in results.runs}) == 42
    assert [each.order for each in results.runs] == list(range(42))
    turns = {each.prompt: len(each.turns) for each in results.runs}
    assert turns == {81: 2, 161: 1, 401: 1}
    for each in results.runs:
        # A model this small may fit into what the process gave back since.
        assert each.peak_memory is None or each.peak_memory >= 0
        for turn in each.turns:
            assert len(turn.token_ids) == 12
            assert turn.text is not None
            assert turn.first_tokens + sum(turn.steps) == 12
            assert turn.seconds.total > turn.seconds.prefill > 0


def test_a_second_turn_is_decoded_after_the_strategys_own_answer(whole):
    first, second = QUESTIONS[0]["turns"]
    for run in read_results(whole[0]).runs:
        if run.prompt == 81:
            talk = f"{first}\n\n{run.turns[0].text}\n\n{second}"  # a token is a byte
            lengths = [turn.num_prompt_tokens for turn in run.turns]
            assert lengths == [len(first), len(talk.encode())]


def test_time_is_split_without_a_rest(whole):
    for run in read_results(whole[0]).runs:
        for turn in run.turns:
            parts = [turn.seconds.draft, turn.seconds.verify, turn.seconds.other]
            if run.strategy in THEIRS:
                assert parts == [None] * 3
                continue
            assert turn.seconds.prefill + sum(parts) == pytest.approx(turn.seconds.total)
            assert sum(each.draft for each in turn.rounds) == pytest.approx(turn.seconds.draft)
            assert sum(each.other for each in turn.rounds) <= turn.seconds.other


def test_runs_are_interleaved_in_the_seeds_order(whole, questions):
    lines = (whole[0] / "runs.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines[1:]]
    expected = slots(
        OURS + THEIRS,
        read_bench_prompts(questions),
        repeats=2,
        batch_size=1,
        seed=0,
    )
    assert [(each["strategy"], each["prompt"], each["repeat"]) for each in found] == [
        (slot.strategy, slot.prompts[0].id, slot.repeat) for slot in expected
    ]


def test_all_strategies_say_what_plain_decoding_says(whole):
    rows = [row for row in read_results(whole[0]).summary if row.task == ALL]
    counts = {row.strategy: (row.identical, row.near_ties, row.different) for row in rows}
    assert counts == dict.fromkeys(OURS + THEIRS, (3, 0, 0))
    assert all(row.speedup_low <= row.speedup <= row.speedup_high for row in rows)
    by_name = {row.strategy: row for row in rows}
    assert by_name["none"].speedup == by_name["hf"].speedup_over_transformers == 1
    assert by_name["none"].mean_acceptance_length == 1
    assert by_name["kangaroo"].mean_acceptance_length > 1
    assert by_name["hf-assisted"].mean_acceptance_length > 3  # its draft is the model itself
    assert by_name["kangaroo"].break_even_acceptance_length > 0


def test_the_summary_is_a_table_with_a_row_for_each_strategy_and_task(whole):
    with (whole[0] / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    results = read_results(whole[0])
    assert len(rows) == len(results.summary) == 7 * 4
    fields = {field.name for field in Summary.__attrs_attrs__} - {"seconds"}
    assert fields < rows[0].keys()
    assert [row["task"] for row in rows[:4]] == [ALL, "writing", "translation", "math_reasoning"]
    assert float(rows[0]["seconds_verify"]) == results.summary[0].seconds["verify"]


def test_answers_name_questions_as_spec_bench_does(whole):
    for path in (whole[0] / "answers").iterdir():
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line["question_id"] for line in lines] == [81, 161, 401]
        assert [line["category"] for line in lines] == ["writing", "translation", "math_reasoning"]
        assert [len(line["choices"][0]["turns"]) for line in lines] == [2, 1, 1]
        lengths = [length for line in lines for length in line["choices"][0]["accept_lengths"]]
        assert min(lengths) >= 1
        if path.stem in ("none", "hf"):
            assert set(lengths) == {1}


def test_environment_and_command_are_written_down(whole):
    header = read_results(whole[0]).header
    assert header.environment.threads >= 1
    assert header.environment.versions["torch"]
    assert header.settings.dtype == "float32"
    assert header.settings.prompts.count == 3
    states = {each.name: each.state for each in header.strategies}
    assert "reset before each run" in states["kangaroo"]
    assert "set anew before each run" in states["hf-early-exit"]


def test_a_finished_benchmark_resumes_to_the_same_runs(whole, base, model, capsys):
    before = (whole[0] / "runs.jsonl").read_bytes()
    arguments = [*base, "--strategies", ",".join(OURS + THEIRS), "--repeats", "2", "--resume"]
    arguments += ["-o", "hf-early-exit.exit_layer=2", "-o", f"hf-assisted.model={model}"]
    assert main([*arguments, "--output", str(whole[0])]) == 0
    assert "42 of 42 runs are there already" in capsys.readouterr().err
    assert (whole[0] / "runs.jsonl").read_bytes() == before
    assert main([*arguments, "--output", str(whole[0]), "--seed", "1"]) == 2
    assert "settings.seed 0, now 1" in capsys.readouterr().err


def test_a_folder_with_a_benchmark_is_not_written_over(whole, base, capsys):
    assert main([*base, "--output", str(whole[0])]) == 2
    assert "add --resume" in capsys.readouterr().err


def test_two_folders_are_shown_side_by_side(whole, base, tmp_path, capsys):
    other = tmp_path / "other"
    assert main([*base, "--strategies", "none,kangaroo", "--task", "writing", "--repeats", "1",
                 "--output", str(other)]) == 0  # fmt: skip
    capsys.readouterr()
    assert main(["bench", "compare", str(whole[0]), str(other)]) == 0
    said = capsys.readouterr().out
    assert "did not compete" in said
    assert "prompts.count" in said
    assert said.count("x [") >= 9  # of all strategies in both, over plain and over transformers
    assert main(["bench", "compare", str(whole[0]), str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1


def test_a_strategy_that_fails_is_a_row_and_the_others_run(base, tmp_path, capsys):
    folder = tmp_path / "results"
    names = "none,kangaroo:adapter=/nowhere,hf-early-exit:exit_layer=9,kangaroo"
    arguments = [*base, "--strategies", names, "--repeats", "1", "--output", str(folder)]
    assert main(arguments) == 1
    results = read_results(folder)
    errors = {each.name: each.error for each in results.header.strategies}
    assert errors["none"] is errors["kangaroo"] is None
    assert "/nowhere" in errors["kangaroo:adapter=/nowhere"]
    assert "4 layers" in errors["hf-early-exit:exit_layer=9"]
    rows = {row.strategy: row for row in results.summary if row.task == ALL}
    assert rows["kangaroo:adapter=/nowhere"].num_failed == 3
    assert rows["kangaroo"].identical == 3
    said = capsys.readouterr()
    assert "/nowhere" in said.out
    assert "kangaroo: " in said.out
    assert "a round costs as much as" in said.out
    assert "cannot take part" in said.err


def test_a_run_that_fails_is_a_row_and_the_others_run(base, tmp_path):
    """transformers' assisted generation decodes one prompt at a time."""
    folder = tmp_path / "results"
    names = "none,kangaroo,hf,hf-prompt-lookup"
    arguments = [*base, "--strategies", names, "--repeats", "1", "--batch-size", "2"]
    assert main([*arguments, "--output", str(folder)]) == 1
    results = read_results(folder)
    failed = [run for run in results.runs if run.error is not None]
    assert {(run.strategy, run.prompt) for run in failed} == {
        ("hf-prompt-lookup", 81),
        ("hf-prompt-lookup", 161),
    }
    assert {run.batch for run in results.runs} == {0, 1}
    rows = {row.strategy: row for row in results.summary if row.task == ALL}
    assert rows["hf-prompt-lookup"].num_failed == 2
    assert rows["kangaroo"].identical == rows["hf"].identical == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--strategies", "none,kangoroo"], "did you mean 'kangaroo'?"),
        (["--strategies", "hf-prompt-lokup"], "did you mean 'hf-prompt-lookup'?"),
        (["--strategies", "hf-assisted"], "needs option 'model'"),
        (["--strategies", "kangaroo:stps=1"], "has no option 'stps'"),
        (["--strategies", "hf:verifier=match"], "takes no verifier"),
        (["--task", "poetry"], "no prompt has task 'poetry'"),
        (["--resume"], "name it with --output"),
        (["--temperature", "inf"], "--temperature must be a number"),
        (["--device", "tpu"], "--device is 'tpu'"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_loaded(
    base, arguments, said, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main([*base, *arguments]) == 2
    message = capsys.readouterr().err
    assert said in message
    assert "loading" not in message
    assert list(tmp_path.iterdir()) == []


def test_sampling_compares_our_tokens_and_lets_transformers_draw_its_own(base, tmp_path):
    folder = tmp_path / "results"
    arguments = [*base, "--strategies", "none,kangaroo,hf,hf-prompt-lookup", "--repeats", "2"]
    assert main([*arguments, "--temperature", "0.8", "--output", str(folder)]) == 0
    rows = {row.strategy: row for row in read_results(folder).summary if row.task == ALL}
    assert rows["kangaroo"].identical == rows["none"].identical == 3
    assert rows["hf"].identical is None
    assert rows["hf"].speedup > 0


def test_a_sweep_adds_a_strategy_for_each_value(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [*base, "--strategies", "none", "--task", "translation", "--repeats", "1"]
    assert main([*arguments, "--sweep", "kangaroo.threshold=0.2,0.9"]) == 0
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("bench-20")
    options = {each.name: each.options for each in read_results(folder).header.strategies}
    assert options["kangaroo:threshold=0.2"]["threshold"] == 0.2
    assert list(options) == ["none", "kangaroo:threshold=0.2", "kangaroo:threshold=0.9"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently there")
def test_ctrl_c_says_what_was_decoded_and_how_to_continue(base, tmp_path):
    folder = tmp_path / "results"
    arguments = [*base, "--strategies", "none,kangaroo", "--repeats", "5000"]
    arguments += ["--output", str(folder)]
    command = [sys.executable, "-m", "specframe", *arguments]
    with subprocess.Popen(
        command, cwd=tmp_path, env=os.environ, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        wait_for_lines(folder / "runs.jsonl", 7)  # both strategies have decoded all prompts
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert f"--output {folder} --resume continues" in err.decode()
    assert b"Traceback" not in err
    journal = (folder / "runs.jsonl").read_text()
    assert journal.endswith("\n")
    header, *rows = [line.split() for line in out.decode().splitlines()[:3]]
    assert header[:4] == ["strategy", "runs", "tokens", "tokens/s"]
    for name, row in zip(("none", "kangaroo"), rows, strict=True):
        runs = [json.loads(line) for line in journal.splitlines()[1:]]
        own = [run for run in runs if run["strategy"] == name]
        tokens = sum(len(turn["token_ids"]) for run in own for turn in run["turns"])
        assert row[:5] == [name, str(len(own)), "of", "15000", str(tokens)]
        assert float(row[5]) > 0
    assert "kangaroo: " in out.decode()  # and what a round costs and brings


@pytest.fixture
def differing(base, tmp_path, capsys):
    """Return the command of a finished benchmark in whose journal a strategy said another token."""
    folder = tmp_path / "results"
    arguments = [*base, "--strategies", "none,kangaroo,hf", "--repeats", "1", "--output"]
    assert main([*arguments, str(folder)]) == 0
    header, *lines = (folder / "runs.jsonl").read_text().splitlines()
    runs = [json.loads(line) for line in lines]
    for each in runs:
        if (each["strategy"], each["prompt"]) in {("kangaroo", 161), ("hf", 81)}:
            tokens = each["turns"][-1]["token_ids"]
            tokens[5] = (tokens[5] + 1) % 256
    (folder / "runs.jsonl").write_text(
        "".join(f"{each}\n" for each in [header, *map(json.dumps, runs)])
    )
    for name in ("results.json", "summary.csv", "report.html"):
        (folder / name).unlink()
    capsys.readouterr()
    return [*arguments, str(folder), "--resume", "--spec-bench-answers"], folder


def words_of(folder):
    """Return what was said of the prompts that differ, by strategy."""
    rows = [row for row in read_results(folder).summary if row.task == ALL]
    return {row.strategy: [(each.prompt, each.position, each.word) for each in row.differences]
            for row in rows}  # fmt: skip


def test_a_judge_without_memory_leaves_every_file_and_a_resume_judges(
    differing, monkeypatch, capsys
):
    import torch

    def no_room(_):
        raise torch.OutOfMemoryError("8 GiB wanted")

    command, folder = differing
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.Module, "double", no_room)
        assert main(command) == 1
    unjudged = {"none": [], "kangaroo": [(161, 5, "not judged")], "hf": [(81, 17, "not judged")]}
    assert words_of(folder) == unjudged
    said = capsys.readouterr().out
    assert "kangaroo: " in said
    assert "not judged: 161 at new token 5 (logits differ, and there is no memory" in said
    assert "2/3, 1 not judged" in said
    page = (folder / "report.html").read_text()
    assert "Not judged: 161 at new token 5 (logits differ, and there is no memory" in page
    assert {"summary.csv", "answers"} < {path.name for path in folder.iterdir()}
    assert main(command) == 1
    assert words_of(folder) == {
        "none": [],
        "kangaroo": [(161, 5, "different")],
        "hf": [(81, 17, "different")],
    }
    told = capsys.readouterr()
    assert "different: 161 at new token 5" in told.out
    assert "2 of 2 differences from plain decoding judged" in told.err


def test_ctrl_c_while_judging_leaves_complete_files(differing, monkeypatch, capsys):
    import torch

    def interrupt(_):
        raise KeyboardInterrupt

    command, folder = differing
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.Module, "double", interrupt)
        assert main(command) == 130
    assert "--resume continues" in capsys.readouterr().err
    rows = {row.strategy: row for row in read_results(folder).summary if row.task == ALL}
    assert rows["kangaroo"].speedup > 0
    assert rows["kangaroo"].not_judged == 1
    (found,) = rows["kangaroo"].differences
    assert found.why == "the judging was cut off, and --resume continues it"
    assert "the judging was cut off" in (folder / "report.html").read_text()
    assert {"summary.csv", "answers"} < {path.name for path in folder.iterdir()}


def wait_for_lines(path, count):
    for _ in range(2400):
        if path.exists() and path.read_bytes().count(b"\n") > count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} has no {count} lines after two minutes")


def test_a_killed_benchmark_continues_to_the_same_set_of_runs(base, tmp_path):
    folder = tmp_path / "results"
    arguments = [*base, "--strategies", "none,kangaroo", "--repeats", "12", "--output", str(folder)]
    command = [sys.executable, "-m", "specframe", *arguments]
    journal = folder / "runs.jsonl"
    with subprocess.Popen(command, cwd=tmp_path, env=os.environ, stderr=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL) as process:  # fmt: skip
        wait_for_lines(journal, 5)
        process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    before = journal.read_bytes()
    whole = before[: before.rfind(b"\n") + 1]
    assert 5 < whole.count(b"\n") < 73
    assert not (folder / "results.json").exists()
    journal.write_bytes(whole + b'{"strategy": "kanga')
    assert main([*arguments, "--resume"]) == 0
    assert journal.read_bytes().startswith(whole)
    results = read_results(folder)
    assert len(results.runs) == len({run.key for run in results.runs}) == 72
    assert [run.order for run in results.runs] == list(range(72))

"""The files of a benchmark: what goes in comes out, damage is named, nothing is mixed."""

from __future__ import annotations

import json

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_runs import FAST, PLAIN, THEIRS, header, rounds, run, strategy, turn
from specframe._errors import InputError
from specframe._files import to_line
from specframe.bench import compare, read_progress, read_results
from specframe.bench._journal import RUNS, Journal, check_folder
from specframe.bench._prompts import BenchPrompt
from specframe.bench._records import (
    PromptDifference,
    PromptRecord,
    Results,
    Seconds,
    Turn,
    as_record,
)
from specframe.bench._results_file import RESULTS
from specframe.bench._run_order import slots
from specframe.bench._spec_bench_answers import answer, file_names, write_answers
from specframe.bench._summary import Summaries

PROMPTS = [BenchPrompt(name, "x", ("text",)) for name in "abc"]
STRATEGIES = [strategy(PLAIN), strategy(FAST), strategy(THEIRS, "transformers")]
# Spec-Bench's speed.py and equal.py read these of a line, and these of its choices.
ANSWER = {"question_id", "category", "answer_id", "model_id", "choices", "tstamp"}
CHOICE = {"index", "turns", "decoding_steps", "new_tokens", "wall_time", "accept_lengths"}


def plan(prompts=PROMPTS, names=(PLAIN, FAST, THEIRS), **changes):
    return slots(list(names), prompts, **({"repeats": 2, "batch_size": 1, "seed": 3} | changes))


def a_header(**changes):
    return header([(prompt.id, prompt.task) for prompt in PROMPTS], STRATEGIES, **changes)


def runs_of(slot):
    return [
        run(slot.strategy, prompt.id, [turn([(2, 1)])], repeat=slot.repeat, order=slot.order)
        for prompt in slot.prompts
    ]


def results():
    runs = [each for slot in plan() for each in runs_of(slot)]
    return Results(
        a_header(), "2026-11-21T11:00:00+00:00", runs, Summaries(a_header(), runs, {}).rows()
    )


# --- the order of runs


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 9))
def test_every_strategy_runs_once_for_each_prompt_and_repeat_before_the_next(
    strategies, repeats, batch_size, seed
):
    names = [f"s{number}" for number in range(strategies)]
    found = plan(names=names, repeats=repeats, batch_size=batch_size, seed=seed)
    assert [slot.order for slot in found] == list(range(len(found)))
    rounds = [found[at : at + strategies] for at in range(0, len(found), strategies)]
    assert all({slot.strategy for slot in each} == set(names) for each in rounds)
    assert all(len({(slot.repeat, slot.prompts) for slot in each}) == 1 for each in rounds)
    keys = {(slot.strategy, one.id, slot.repeat) for slot in found for one in slot.prompts}
    assert len(keys) == strategies * repeats * len(PROMPTS)
    assert all((slot.batch is None) == (batch_size == 1) for slot in found)


def test_the_seed_shuffles_who_goes_first():
    orders = {tuple(slot.strategy for slot in plan(seed=seed)) for seed in range(5)}
    assert len(orders) == 5
    assert plan(seed=4) == plan(seed=4)
    firsts = {slot.strategy for slot in plan(repeats=9)[::3]}
    assert firsts == {PLAIN, FAST, THEIRS}


# --- runs.jsonl


def test_a_journal_continues_after_the_last_whole_line(tmp_path):
    todo = plan()
    with Journal.open(tmp_path, a_header(), todo) as journal:
        for slot in todo[:4]:
            journal.add(runs_of(slot))
    path = tmp_path / RUNS
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"strategy": "fa')
    with Journal.open(tmp_path, attrs.evolve(a_header(), created="later"), todo) as journal:
        assert [each.key for each in journal.runs] == [
            (slot.strategy, slot.prompts[0].id, slot.repeat) for slot in todo[:4]
        ]
        assert journal.header.created == a_header().created
        assert path.read_bytes() == whole
        journal.add(runs_of(todo[4]))
    assert path.read_bytes().startswith(whole)
    assert len(path.read_bytes().splitlines()) == 6


@pytest.mark.parametrize("kept", range(1, 4))
def test_a_batch_that_is_torn_runs_again_as_a_whole(tmp_path, kept):
    todo = plan(batch_size=3)
    with Journal.open(tmp_path, a_header(), todo) as journal:
        journal.add(runs_of(todo[0]))
        journal.add(runs_of(todo[1]))
    path = tmp_path / RUNS
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: 1 + 3 + kept]))
    with Journal.open(tmp_path, a_header(), todo) as journal:
        assert len(journal.runs) == (6 if kept == 3 else 3)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "settings.seed 0, now 1"),
        ({"temperature": 0.5}, "settings.temperature 0.0, now 0.5"),
        ({"repeats": 2}, "settings.repeats 1, now 2"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path, changes, named):
    with Journal.open(tmp_path, a_header(), plan()):
        pass
    with pytest.raises(InputError) as refused:
        Journal.open(tmp_path, a_header(**changes), plan())
    assert named in str(refused.value)


def test_other_strategies_and_another_machine_are_refused(tmp_path):
    with Journal.open(tmp_path, a_header(), plan()):
        pass
    other = attrs.evolve(a_header(), strategies=STRATEGIES[:2])
    with pytest.raises(InputError, match="begun with other settings"):
        Journal.open(tmp_path, other, plan())
    machine = attrs.evolve(a_header().environment, threads=8)
    with pytest.raises(InputError, match=r"environment.threads 1, now 8"):
        Journal.open(tmp_path, attrs.evolve(a_header(), environment=machine), plan())


def test_a_damaged_line_is_named(tmp_path):
    with Journal.open(tmp_path, a_header(), plan()) as journal:
        journal.add(runs_of(plan()[0]))
    path = tmp_path / RUNS
    path.write_bytes(path.read_bytes() + b'{"strategy": 1}\n')
    with pytest.raises(InputError, match="line 3 is damaged"):
        Journal.open(tmp_path, a_header(), plan())


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        check_folder(tmp_path, resume=False)
    with pytest.raises(InputError, match="is a file"):
        check_folder(tmp_path / "thesis.txt", resume=False)
    (tmp_path / RUNS).write_text("")
    with pytest.raises(InputError, match="--resume"):
        check_folder(tmp_path, resume=False)
    check_folder(tmp_path, resume=True)
    check_folder(tmp_path / "new", resume=False)


# --- results.json


def test_results_come_back_as_they_were_written(tmp_path):
    found = results()
    (tmp_path / RESULTS).write_text(to_line(found.as_dict()))
    again = read_results(tmp_path)
    assert again == found


@settings(max_examples=25, deadline=None)
@given(rounds)
def test_any_run_survives_json(decoded):
    from specframe.bench._records import Run
    from specframe.bench._results_file import structured

    one = run(FAST, 7, [turn(decoded)], peak_memory=3, batch=1)
    assert structured(json.loads(to_line(as_record(one))), Run, "here") == one


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found.pop("summary"), "'summary' is missing"),
        (lambda found: found.update(schema=3), "schema 3"),
        (lambda found: found["runs"][0].update(extra=1), "extra"),
        (lambda found: found["runs"][0].update(order="1"), "expected int"),
        (lambda found: found["settings"].pop("seed"), "seed"),
        (lambda found: found["summary"][0].update(speedup="fast"), "damaged"),
    ],
)
def test_results_that_do_not_fit_the_schema_are_refused(tmp_path, change, said):
    found = json.loads(to_line(results().as_dict()))
    change(found)
    (tmp_path / RESULTS).write_text(json.dumps(found))
    with pytest.raises(InputError) as refused:
        read_results(tmp_path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_results_of_schema_1_are_read_too(tmp_path):
    found = json.loads(to_line(results().as_dict())) | {"schema": 1}
    for row in found["summary"]:
        del row["not_judged"], row["differences"]
        row["first_difference"] = {"a": 3}
    (tmp_path / RESULTS).write_text(json.dumps(found))
    again = read_results(tmp_path)
    assert [row.differences for row in again.summary] == [[]] * len(again.summary)
    assert again.runs == results().runs


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match="no finished benchmark"):
        read_results(tmp_path)
    (tmp_path / RESULTS).write_text("{")
    with pytest.raises(InputError, match="damaged"):
        read_results(tmp_path)


def test_comparing_pairs_strategies_and_names_what_differs():
    one = results()
    other = attrs.evolve(
        one,
        header=attrs.evolve(a_header(seed=9), strategies=STRATEGIES[:1]),
        summary=[row for row in one.summary if row.strategy == PLAIN],
    )
    found = compare(one, other)
    assert [(pair.strategy, pair.second is None) for pair in found.pairs] == [
        (PLAIN, False),
        (FAST, True),
        (THEIRS, True),
    ]
    assert found.differences == [("seed", "0", "9")]


def test_comparing_names_options_that_a_strategys_name_does_not_show():
    def with_steps(steps, policy):
        record = strategy(FAST, options={"steps": steps}, stop_policy=policy)
        strategies = [strategy(PLAIN), record]
        return attrs.evolve(results(), header=attrs.evolve(a_header(), strategies=strategies))

    assert compare(with_steps(6, "fixed"), with_steps(4, "svip")).differences == [
        ("fast: options.steps", "6", "4"),
        ("fast: stop_policy", '"fixed"', '"svip"'),
    ]


def test_a_comparison_states_what_every_table_states(capsys):
    from specframe.cli.bench._report import HEADER, cells, comparison_lines

    found = with_other_tokens("tokens")
    comparison_lines(compare(found, found), ("A", "B"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "strategy"
    assert [title for title in HEADER if title not in lines[0]] == []
    fast = next(row for row in found.summary if row.strategy == FAST)
    shown = [each for each in lines if each.startswith(FAST)]
    assert [each.split()[1] for each in shown] == ["A", "B"]
    for line in shown:
        assert [cell for cell in cells(fast, promises=True) if cell not in line] == []
        assert "DIFFERENT" in line


def test_an_interrupted_benchmark_says_what_its_whole_lines_come_to(tmp_path, capsys):
    from specframe.cli.bench._report import progress_lines

    assert read_progress(tmp_path) is None
    lost = attrs.evolve(a_header(repeats=2), strategies=[*STRATEGIES, strategy("lost", error="no")])
    with Journal.open(tmp_path, lost, plan()) as journal:
        assert read_progress(tmp_path) is None
        for slot in plan()[:4]:
            journal.add(runs_of(slot))
    with (tmp_path / RUNS).open("ab") as file:
        file.write(b'{"strategy": "fa')
    progress = read_progress(tmp_path)
    done = [slot.strategy for slot in plan()[:4]]
    assert progress.num_runs == {name: done.count(name) for name in (PLAIN, FAST, THEIRS)}
    assert progress.num_tokens == {name: 3 * done.count(name) for name in (PLAIN, FAST, THEIRS)}
    progress_lines(progress)
    said = capsys.readouterr().out
    assert f"{done.count(FAST)} of 6" in said
    assert "0 of 6" in said
    assert "lost: no" in said


def with_other_tokens(guarantee):
    """Return results in which a strategy with a guarantee differs on one prompt."""
    found = results()
    records = [strategy(PLAIN), strategy(FAST, guarantee=guarantee)]
    rows = [
        attrs.evolve(
            row,
            identical=2,
            near_ties=0,
            different=1,
            not_judged=0,
            differences=[
                PromptDifference("a", 3, "different", "another text"),
            ],
        )
        if row.strategy == FAST
        else row
        for row in found.summary
        if row.strategy != THEIRS
    ]
    return attrs.evolve(found, header=attrs.evolve(found.header, strategies=records), summary=rows)


@pytest.mark.parametrize(
    ("guarantee", "is_sound"), [("tokens", False), ("distribution", True), ("none", True)]
)
def test_other_tokens_are_a_fault_where_they_were_promised(guarantee, is_sound, tmp_path, capsys):
    from specframe.bench._benchmark import BenchOutcome, _is_sound
    from specframe.cli.bench._report import outcome_lines

    found = with_other_tokens(guarantee)
    assert _is_sound(found) is is_sound
    outcome_lines(BenchOutcome(found, [], is_sound), tmp_path)
    said = capsys.readouterr().out
    assert ("DIFFERENT" in said) is not is_sound
    assert "2/3" in said
    assert "different: a at new token 3" in said
    assert "peak MB: highest resident set" in said


def test_a_failed_run_is_not_sound():
    from specframe.bench._benchmark import _is_sound

    found = results()
    assert _is_sound(found)
    assert not _is_sound(attrs.evolve(found, runs=[attrs.evolve(found.runs[0], error="no")]))
    gone = [strategy(PLAIN, error="no weights")]
    assert not _is_sound(attrs.evolve(found, header=attrs.evolve(found.header, strategies=gone)))


# --- answers


def test_answers_have_the_documented_keys_and_one_line_a_question(tmp_path):
    runs = [each for slot in plan() for each in runs_of(slot)]
    paths = write_answers(a_header(), runs, tmp_path / "answers")
    assert sorted(path.name for path in paths) == ["fast.jsonl", "hf.jsonl", "none.jsonl"]
    lines = [json.loads(line) for line in paths[1].read_text().splitlines()]
    assert [line["question_id"] for line in lines] == ["a", "b", "c"]
    for line in lines:
        assert line.keys() == ANSWER
        assert [choice["index"] for choice in line["choices"]] == [0, 1]
        for choice in line["choices"]:
            assert choice.keys() == CHOICE
            lists = ("turns", "decoding_steps", "new_tokens", "wall_time")
            assert {len(choice[name]) for name in lists} == {1}
            assert sum(choice["decoding_steps"]) == len(choice["accept_lengths"])


def test_accept_lengths_count_the_targets_own_token():
    """As in Spec-Bench, where plain decoding's mean is 1 and drafts add to it."""

    def choice(*turns):
        line = answer(PromptRecord(81, "writing", 1), [run(FAST, 81, turns)], model_id="m")
        return line["choices"][0]

    plain = choice(turn([(0, 0)] * 4))
    assert plain["accept_lengths"] == [1, 1, 1, 1]
    fast = choice(turn([(5, 3), (5, 0)]), turn([(5, 5)]))
    assert fast["accept_lengths"] == [4, 1, 6]
    assert fast["decoding_steps"] == [2, 1]
    assert fast["new_tokens"] == [6, 7]
    theirs = Turn(3, [1, 2, 3, 4], "", "length", Seconds(1.0, 0.5), chunks=[1, 3])
    assert choice(theirs)["accept_lengths"] == [1, 3]
    assert choice(turn([]))["accept_lengths"] == [1]


def test_file_names_are_safe_and_unique():
    names = ["kangaroo", "kangaroo:steps=4", "a:model=/x/y", "a:model=_x_y", "../../etc", "x" * 300]
    found = file_names(names)
    assert len(set(found.values())) == len(names)
    assert found["kangaroo"] == "kangaroo"
    assert found["kangaroo:steps=4"] == "kangaroo,steps=4"
    assert all("/" not in name and not name.startswith(".") for name in found.values())
    assert max(map(len, found.values())) < 200

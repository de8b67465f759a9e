"""What a benchmark is given: prompts, questions of several turns, strategies with options."""

from __future__ import annotations

import pytest

from specframe._errors import InputError, OptionError
from specframe.bench import read_contestants
from specframe.bench._prompts import BenchPrompt, Conversation, check_prompts, refuse_text
from specframe.cli.bench._prompts import read_bench_prompts

# --- prompts


def test_questions_of_spec_bench_are_played_as_turns(tmp_path):
    path = tmp_path / "question.jsonl"
    path.write_text(
        '{"question_id": 81, "category": "writing", "turns": ["Praise tea.", "Shorter."]}\n\n'
        '{"question_id": 161, "category": "translation", "turns": ["Tee"], "reference": ["tea"]}\n'
        '{"id": "own", "prompt_ids": [1, 2], "task": "ids", "max_new_tokens": 5}\n'
        '{"id": 3, "prompt": "text"}\n'
    )
    found = read_bench_prompts(path)
    assert [(each.id, each.task, len(each.turns)) for each in found] == [
        (81, "writing", 2),
        (161, "translation", 1),
        ("own", "ids", 1),
        (3, "prompts", 1),
    ]
    assert found[2].turns == ([1, 2],)
    assert found[2].max_new_tokens == 5
    assert [each.id for each in check_prompts(found, ["ids", "writing"])] == [81, "own"]
    with pytest.raises(InputError, match="no prompt has task 'wrting'"):
        check_prompts(found, ["wrting"])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"question_id": 1, "category": "c", "turns": []}', "'turns' must be"),
        ('{"question_id": 1, "category": "c", "turns": ["a", ""]}', "'turns' must be"),
        ('{"question_id": 1, "turns": ["a"]}', "'category' must be"),
        ('{"category": "c", "turns": ["a"]}', "'question_id' must be"),
        ('{"id": 1, "prompt": "a", "task": 3}', "'task' must be"),
        ('{"id": 1}', "missing"),
        ("{", "not JSON"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path, line, said):
    path = tmp_path / "prompts.jsonl"
    path.write_text(f'{{"id": 0, "prompt": "fine"}}\n{line}\n')
    with pytest.raises(InputError) as refused:
        read_bench_prompts(path)
    assert "line 2" in str(refused.value)
    assert said in str(refused.value)


def test_ids_that_meet_and_a_task_named_all_are_refused():
    with pytest.raises(InputError, match="occurs twice"):
        check_prompts([BenchPrompt(1, "x", ("a",)), BenchPrompt("1", "x", ("b",))])
    with pytest.raises(InputError, match="task 'all'"):
        check_prompts([BenchPrompt(1, "all", ("a",))])


class Letters:
    """A tokenizer of letters with a chat template."""

    chat_template = "yes"

    def __call__(self, text):
        return {"input_ids": [ord(letter) for letter in text]}

    def decode(self, ids, *, skip_special_tokens):
        return "".join(map(chr, ids))

    def apply_chat_template(self, messages, **_):
        text = "".join(f"<{each['role'][0]}>{each['content']}" for each in messages)
        return self(f"{text}<a>")["input_ids"]


def test_a_second_turn_follows_the_first_answer():
    prompt = BenchPrompt(1, "x", ("one", "two"))
    talk = Conversation(Letters())
    assert talk.text(talk.ids(prompt, [])) == "<u>one<a>"
    assert talk.text(talk.ids(prompt, ["yes"])) == "<u>one<a>yes<u>two<a>"
    plain = Letters()
    plain.chat_template = None
    assert talk.text(Conversation(plain).ids(prompt, ["yes"])) == "one\n\nyes\n\ntwo"
    assert Conversation(plain, limit=2).ids(prompt, []) == [ord("n"), ord("e")]


def test_text_is_refused_at_once_for_a_model_without_a_tokenizer():
    ids = BenchPrompt("ids", "x", ([1, 2],))
    refuse_text([ids], "tiny")
    with pytest.raises(InputError, match="prompt 1 is text and 'tiny' came without a tokenizer"):
        refuse_text([ids, BenchPrompt(1, "x", ("one",))], "tiny")


# --- who competes


def test_strategies_are_read_with_their_options():
    found = read_contestants(
        "none, kangaroo,kangaroo:tree=true:steps=8,draft:model=C:\\m:verifier=match",
        ["kangaroo.steps=4", "kangaroo.stop.eta=1"],
        ["kangaroo.threshold=0.2,0.4"],
    )
    options = {each.name: dict(each.options) for each in found}
    assert options == {
        "none": {},
        "kangaroo": {"steps": "4", "stop.eta": "1"},
        "kangaroo:tree=true:steps=8": {"tree": "true", "steps": "8", "stop.eta": "1"},
        "draft:model=C:\\m:verifier=match": {"model": "C:\\m"},
        "kangaroo:threshold=0.2": {"threshold": "0.2", "steps": "4", "stop.eta": "1"},
        "kangaroo:threshold=0.4": {"threshold": "0.4", "steps": "4", "stop.eta": "1"},
    }
    assert found[3].verifier == "match"
    assert read_contestants("k:stop-policy=fixed")[0].stop_policy == "fixed"
    first, second = read_contestants("k,k:verifier=match", ["k.verifier=greedy"])
    assert (first.verifier, second.verifier) == ("greedy", "match")
    assert dict(first.options) == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none,none",), "listed twice"),
        (("none,",), "empty name"),
        (("none:steps",), "write none:KEY=VALUE"),
        (("none:a=1:a=2",), "twice"),
        (("none", ["steps=4"]), "STRATEGY.KEY=VALUE"),
        (("none", ["kangaroo.steps=4"]), "not among the strategies"),
        (("none", [], ["kangaroo=4"]), "--sweep takes"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(arguments, said):
    with pytest.raises((InputError, OptionError)) as refused:
        read_contestants(*arguments)
    assert said in str(refused.value)

"""The files of ``--prompts``: checked before, whole after, continued by a rerun."""

from __future__ import annotations

import json

import attrs
import pytest

from specframe._errors import InputError, NumericsError
from specframe.cli._display import Notes
from specframe.cli._flags import Limits, Loading
from specframe.cli._output_file import OutputFile
from specframe.cli._prompt_file import PromptLine, read_prompt_file
from specframe.cli._run_file import FileJob, run_file


@attrs.frozen
class Setup:
    strategy: str = "kangaroo"
    options: dict = attrs.Factory(lambda: {"threshold": 0.6})
    verifier: str = "greedy"
    stop_policy: str = "confidence"
    guarantee: str = "tokens"
    model: str = "tiny"
    dtype: str = "float32"
    device: str = "cpu"


@attrs.frozen
class Metrics:
    new: int

    def as_dict(self):
        return {
            "num_new_tokens": self.new,
            "draft_acceptance_rate": None,
            "tokens_per_second": float("nan"),
            "seconds": {"total": 0.5},
        }


@attrs.frozen
class Result:
    token_ids: list[int]
    text: str = "ein Känguru"
    finish_reason: str = "length"

    @property
    def metrics(self):
        return Metrics(len(self.token_ids))


@attrs.define
class EchoDecoder:
    """Repeats each prompt's length; fails at "boom", is interrupted at "ctrl-c"."""

    setup: Setup = attrs.Factory(Setup)
    tokenizer: object = None
    calls: list = attrs.Factory(list)  # (prompt, max_new_tokens) of each prompt that got here
    batches: list = attrs.Factory(list)
    asked: dict = attrs.Factory(dict)

    def setup_at(self, temperature):
        return self.setup

    def rows_together(self, asked, prompts):
        return asked

    def decode(self, prompts, *, max_new_tokens, batch_size, **asked):
        self.asked = asked
        assert batch_size == len(prompts) == len(max_new_tokens)
        self.batches.append(prompts)
        self.calls += zip(prompts, max_new_tokens, strict=True)
        if "boom" in prompts:
            raise NumericsError("logits are not finite at position 3, layer 1")
        if "bug" in prompts:
            raise ZeroDivisionError("division by zero")
        if "ctrl-c" in prompts:
            raise KeyboardInterrupt
        return [Result([len(one)] * n) for one, n in zip(prompts, max_new_tokens, strict=True)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


@attrs.frozen(kw_only=True)
class Ready(Loading):
    decoder: EchoDecoder

    def open(self):
        return self.decoder


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run(folder, records, decoder=None, limits=None, chat=None, batch_size=None):
    """Write ``records`` as prompts and decode them; returns exit code, decoder and output."""
    decoder = decoder or EchoDecoder()
    prompts, output = folder / "in.jsonl", folder / "out.jsonl"
    prompts.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    loading = Ready(strategy="kangaroo", decoder=decoder)
    job = FileJob(prompts, output, chat, batch_size)
    code = run_file(job, loading, limits or Limits(max_new_tokens=2), Notes())
    return code, decoder, output


def prompts_of(*names):
    return [{"id": name, "prompt": name} for name in names]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "not JSON"),
        ("[1]", "expected an object"),
        ('{"prompt": "x"}', "'id' is missing"),
        ('{"id": null, "prompt": "x"}', "'id' must be a string or a whole number, got null"),
        ('{"id": true, "prompt": "x"}', "'id' must be a string or a whole number, got true"),
        ('{"id": "b"}', "'prompt' or 'prompt_ids' is missing"),
        ('{"id": "b", "prompt": "x", "prompt_ids": [1]}', "are both given"),
        ('{"id": "b", "prompt": ""}', "'prompt' is empty"),
        ('{"id": "b", "prompt": 5}', "'prompt' must be a string, got 5"),
        ('{"id": "b", "prompt": "\\ud800"}', "lone surrogate"),
        ('{"id": "b", "prompt_ids": []}', "'prompt_ids' is empty"),
        ('{"id": "b", "prompt_ids": [1, "2"]}', "must be a list of token ids"),
        ('{"id": "b", "prompt_ids": [true]}', "must be a list of token ids"),
        ('{"id": "b", "prompt": "x", "max_new_tokens": 0}', "a whole number from 1, got 0"),
        ('{"id": "b", "prompt": "x", "max_tokens": 5}', "did you mean 'max_new_tokens'?"),
        ('{"id": "a", "prompt": "x"}', 'id "a" is already that of line 1'),
        (b"\xff", "not UTF-8 text"),
    ],
)
def test_bad_line_is_named_with_its_number(tmp_path, line, complaint):
    path = tmp_path / "in.jsonl"
    raw = line if isinstance(line, bytes) else line.encode()
    path.write_bytes(b'{"id": "a", "prompt": "x"}\n\n' + raw + b"\n")
    with pytest.raises(InputError) as caught:
        read_prompt_file(path)
    assert f"{path}, line 3: " in str(caught.value)
    assert complaint in str(caught.value)


def test_prompts_are_read_in_order_and_other_keys_are_ignored(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": "a", "prompt": "x", "category": "qa"}\r\n'
        b'{"id": 7, "prompt_ids": [1, 2], "max_new_tokens": 3}'
    )
    assert read_prompt_file(path) == [PromptLine("a", "x"), PromptLine(7, [1, 2], 3)]


def test_file_without_prompts_is_refused(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("\n\n")
    with pytest.raises(InputError, match="holds no prompts"):
        read_prompt_file(path)


def test_nothing_is_decoded_before_all_lines_are_good(tmp_path):
    with pytest.raises(InputError, match="line 2"):
        run(tmp_path, [{"id": 1, "prompt": "x"}, {"id": 2}])
    assert not (tmp_path / "out.jsonl").exists()


def test_output_has_one_line_a_prompt_in_input_order(tmp_path, capsys):
    records = [*prompts_of("bb", "a"), {"id": 3, "prompt_ids": [5, 6, 7], "max_new_tokens": 1}]
    code, decoder, output = run(
        tmp_path, records, limits=Limits(max_new_tokens=2, stop=("END",), seed=5)
    )
    assert code == 0
    assert [line["id"] for line in lines_of(output)] == ["bb", "a", 3]
    assert list(lines_of(output)[0]) == ["id", "token_ids", "text", "finish_reason", "metrics"]
    assert [line["token_ids"] for line in lines_of(output)] == [[2, 2], [1, 1], [3]]
    assert decoder.calls == [("bb", 2), ("a", 2), ([5, 6, 7], 1)]
    sampling = dict.fromkeys(["top_k", "top_p", "min_p", "repetition_penalty"])
    assert decoder.asked == {"stop": ("END",), "seed": 5, "temperature": 0.0} | sampling
    assert "3 prompts, 0 failed; 5 tokens in 1.50 s (3.3 tokens/s)" in capsys.readouterr().err


def test_what_is_not_finite_is_written_as_null(tmp_path):
    _, _, output = run(tmp_path, prompts_of("a"))
    assert lines_of(output)[0]["metrics"]["tokens_per_second"] is None
    assert "NaN" not in output.read_text(encoding="utf-8")


def test_failed_prompt_is_a_line_and_the_others_are_decoded(tmp_path):
    code, _, output = run(tmp_path, prompts_of("a", "boom", "bug", "b"))
    assert code == 1
    assert [line.get("error") for line in lines_of(output)] == [
        None,
        "logits are not finite at position 3, layer 1",
        "ZeroDivisionError: division by zero",
        None,
    ]


def test_rerun_drops_a_torn_line_and_skips_what_is_done(tmp_path, capsys):
    _, _, output = run(tmp_path, prompts_of("a", "b", "c"))
    whole = output.read_bytes()
    for cut in range(0, len(whole), 17):
        output.write_bytes(whole[:cut])
        code, decoder, _ = run(tmp_path, prompts_of("a", "b", "c"))
        assert code == 0
        assert output.read_bytes() == whole
        assert len(decoder.calls) == 3 - whole[:cut].count(b"\n")
    assert "2 of 3 prompts are in" in capsys.readouterr().err


def test_prompts_are_decoded_some_at_a_time_with_budgets_of_their_own(tmp_path, capsys):
    records = prompts_of("a", "bb", "c", "dd", "e")
    records[1]["max_new_tokens"] = 3
    code, decoder, output = run(tmp_path, records, batch_size=2)
    assert code == 0
    assert decoder.batches == [["a", "bb"], ["c", "dd"], ["e"]]
    assert [line["token_ids"] for line in lines_of(output)][:2] == [[1, 1], [2, 2, 2]]
    # Half a second each, but two at a time.
    assert "5 prompts, 0 failed; 11 tokens in 1.50 s (7.3 tokens/s)" in capsys.readouterr().err


@pytest.mark.parametrize("at_a_time", [2, 3, 9])
def test_a_failure_costs_its_neighbours_nothing(tmp_path, at_a_time, capsys):
    names = ("a", "boom", "b", "c", "bug")
    code, decoder, output = run(tmp_path, prompts_of(*names), batch_size=at_a_time)
    assert code == 1
    assert [line["id"] for line in lines_of(output)] == list(names)
    assert ["error" in line for line in lines_of(output)] == [False, True, False, False, True]
    assert ["boom"] in decoder.batches
    assert "prompts failed together and are decoded one by one: " in capsys.readouterr().err


def test_ctrl_c_in_a_batch_keeps_the_batches_before_it(tmp_path):
    code, _, output = run(tmp_path, prompts_of("a", "b", "c", "ctrl-c", "d"), batch_size=2)
    assert code == 130
    assert [line["id"] for line in lines_of(output)] == ["a", "b"]
    code, decoder, _ = run(tmp_path, prompts_of("a", "b", "c", "e", "d"), batch_size=2)
    assert (code, decoder.batches) == (0, [["c", "e"], ["d"]])


def test_a_rerun_may_take_another_batch_size_and_continues_after_a_torn_line(tmp_path):
    names = prompts_of("a", "b", "c", "d", "e")
    whole = run(tmp_path, names)[2].read_bytes()
    for cut in range(0, len(whole), 41):
        (tmp_path / "out.jsonl").write_bytes(whole[:cut])
        code, decoder, output = run(tmp_path, names, batch_size=3)
        assert (code, output.read_bytes()) == (0, whole)
        left = 5 - whole[:cut].count(b"\n")
        sizes = [len(batch) for batch in decoder.batches]
        assert (sum(sizes), max(sizes, default=0)) == (left, min(left, 3))


def test_rerun_of_a_finished_file_still_tells_of_failures(tmp_path):
    run(tmp_path, prompts_of("a", "boom"))
    code, decoder, _ = run(tmp_path, prompts_of("a", "boom"))
    assert (code, decoder.calls) == (1, [])


def test_ctrl_c_keeps_what_is_done_and_a_rerun_continues(tmp_path, capsys):
    code, _, output = run(tmp_path, prompts_of("a", "ctrl-c", "b"))
    assert code == 130
    assert [line["id"] for line in lines_of(output)] == ["a"]
    said = capsys.readouterr().err
    assert "1 of 3 prompts are in" in said
    assert "the same command continues from there" in said
    assert run(tmp_path, prompts_of("a", "c"))[0] == 0


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"decoder": EchoDecoder(Setup(options={"threshold": 0.4}))}, 'options {"threshold": 0.6}'),
        ({"limits": Limits(max_new_tokens=9)}, "max_new_tokens 2; now max_new_tokens 9"),
        ({"limits": Limits(max_new_tokens=2, stop=("x",))}, 'stop []; now stop ["x"]'),
        ({"limits": Limits(max_new_tokens=2, seed=1)}, "seed null; now seed 1"),
        ({"limits": Limits(max_new_tokens=2, top_k=3)}, "top_k null; now top_k 3"),
        ({"chat": False}, "chat true; now chat false"),
    ],
)
def test_other_options_than_the_first_runs_are_refused(tmp_path, other, named):
    _, _, output = run(tmp_path, prompts_of("a"))
    before = output.read_bytes()
    with pytest.raises(InputError, match="was begun with other options") as caught:
        run(tmp_path, prompts_of("a", "b"), **other)
    assert named in str(caught.value)
    assert output.read_bytes() == before


def test_first_run_that_wrote_no_line_binds_nobody(tmp_path):
    run(tmp_path, prompts_of("ctrl-c"))
    assert run(tmp_path, prompts_of("a"), limits=Limits(max_new_tokens=9))[0] == 0


@pytest.mark.parametrize("content", [b"my notes\n", b"my notes", b'{"a": 1}\n'])
def test_file_that_is_no_output_is_left_alone(tmp_path, content):
    path = tmp_path / "out.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="name another file"):
        OutputFile.open(path, {})
    assert path.read_bytes() == content


@pytest.mark.parametrize("damage", [None, b"{", b"[]"])
def test_lost_settings_are_refused(tmp_path, damage):
    run(tmp_path, prompts_of("a"))
    beside = tmp_path / "out.jsonl.run.json"
    beside.unlink() if damage is None else beside.write_bytes(damage)
    with pytest.raises(InputError, match="missing or damaged"):
        run(tmp_path, prompts_of("a"))


def test_prompts_and_output_must_be_two_files(tmp_path):
    path = tmp_path / "one.jsonl"
    loading = Ready(strategy="kangaroo", decoder=EchoDecoder())
    with pytest.raises(InputError, match="are the same file"):
        run_file(FileJob(path, path), loading, Limits(max_new_tokens=2), Notes())

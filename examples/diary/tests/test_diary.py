"""The diary has a line for each decode, and says in it what the result says."""

import json

import pytest

import specframe
from specframe_diary import VARIABLE, Diary, diary


@pytest.fixture(scope="module")
def decoder():
    with specframe.load(strategy="prompt-lookup") as decoder:
        yield decoder


@pytest.fixture
def lines(tmp_path, monkeypatch):
    """Return a function that reads the diary."""
    path = tmp_path / "diary.jsonl"
    monkeypatch.setenv(VARIABLE, str(path))
    return lambda: [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_decode_of_a_batch_has_a_line_with_its_numbers(decoder, lines):
    results = decoder.decode(["import os\n", "def f(x):"], max_new_tokens=8)
    for line, result in zip(lines(), results, strict=True):
        for name in ("num_new_tokens", "num_spec_steps", "mean_acceptance_length"):
            assert line[name] == getattr(result.metrics, name)
        assert line["finish_reason"] == result.finish_reason


def test_the_rounds_of_an_interrupted_decode_are_counted_and_have_no_line(decoder, lines):
    before = diary.rounds
    stream = decoder.stream("import os\n", max_new_tokens=8)
    next(stream), next(stream)  # the prefill and a round
    stream.close()
    assert diary.rounds == before + 1
    result = decoder.decode("import os\n", max_new_tokens=8)
    (line,) = lines()
    assert line["rounds_of_this_process"] == before + 1 + result.metrics.num_spec_steps


def test_without_a_file_nothing_is_written(decoder, tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    decoder.decode("import os\n", max_new_tokens=2)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_the_cores_to_report(decoder, tmp_path, monkeypatch):
    result = decoder.decode("import os\n", max_new_tokens=2)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(OSError, match="directory"):
        Diary().specframe_decode_finished(result)

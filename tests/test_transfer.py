"""What a round reads of the device: one packet, and one for each drafted level."""

import pytest
import torch

import specframe
from specframe import Reading, to_device
from specframe._draft import depths_of

READS = ("tolist", "item", "numpy", "__bool__", "__int__", "__float__", "__index__")
FORBIDDEN = {getattr(torch.Tensor, name) for name in READS}


class OnDevice(torch.Tensor):
    """A tensor, and all that is made of it, whose values may be seen through a Reading alone."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in FORBIDDEN:
            raise AssertionError(f"{function.__name__} reads a value of the device by itself")
        return super().__torch_function__(function, types, args, kwargs or {})


@pytest.fixture
def begun(monkeypatch):
    """Return the list in which each reading of such tensors is noted; what it reads is let go."""
    noted, begin = [], Reading.__init__

    def counted(self, *values):
        if any(isinstance(value, OnDevice) for value in values):
            noted.append(len(values))
        begin(self, *(value.as_subclass(torch.Tensor) for value in values))

    monkeypatch.setattr(Reading, "__init__", counted)
    return noted


def watched(decoder):
    """Let the engine answer with such tensors."""
    engine = decoder.target.engine
    run, logits, embed = engine.run, engine.logits, engine.embed

    def watched_run(*arguments, **named):
        hidden, taps = run(*arguments, **named)
        return hidden.as_subclass(OnDevice), taps

    engine.run = watched_run
    engine.logits = lambda normed: logits(normed).as_subclass(OnDevice)
    engine.embed = lambda tokens: embed(tokens).as_subclass(OnDevice)


def test_numbers_are_sent_and_read_unchanged():
    here = torch.device("cpu")
    assert to_device([[1, 2]], here).tolist() == [[1, 2]]
    values = torch.arange(3), torch.tensor([True])
    assert [value.tolist() for value in Reading(*values).wait()] == [[0, 1, 2], [True]]


def test_the_watch_catches_what_reads_by_itself(begun):
    value = torch.ones(2).as_subclass(OnDevice) * 2
    for read in (torch.Tensor.tolist, lambda v: bool(v.all()), lambda v: int(v[0])):
        with pytest.raises(AssertionError, match="by itself"):
            read(value)
    assert Reading(value).wait()[0].tolist() == [2, 2]
    assert begun == [1]


@pytest.mark.models
@pytest.mark.parametrize("runner", ["eager", "graph"])
@pytest.mark.parametrize("strategy", ["none", "kangaroo", "tree"])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_round_waits_once_and_once_for_each_level(
    tiny, tmp_path, monkeypatch, begun, runner, strategy, temperature
):
    monkeypatch.setenv("SPECFRAME_RUNNER", runner)
    model = tiny.model()
    if strategy == "none":
        decoder = specframe.load(model, strategy="none")
    else:
        adapter = tiny.adapter(tmp_path, model)
        options = {"adapter": adapter, "threshold": 0.2, "tree": strategy == "tree"}
        decoder = specframe.load(model, options=options | {"steps": 4})
    stream = decoder.stream([1, 2, 3], max_new_tokens=30, temperature=temperature, seed=1)
    next(stream)
    watched(decoder)
    for round in stream:
        levels = max(depths_of([-1, *(parent + 1 for parent in round.draft_parents)]))
        is_sampled = temperature > 0  # then the target's choices are not its likeliest tokens
        assert len(begun) == levels + 1 + is_sampled, (begun, round)
        begun.clear()


@pytest.mark.models
def test_where_no_level_is_asked_about_the_host_waits_behind_the_last(tiny, tmp_path, monkeypatch):
    options = {"adapter": tiny.adapter(tmp_path, tiny.model()), "steps": 4}
    decoder = specframe.load(tiny.model(), stop_policy="fixed", options=options)
    stream = decoder.stream([1, 2, 3], max_new_tokens=30)
    next(stream)
    log = []
    for owner, name in ((decoder.target.engine, "run"), (Reading, "wait")):
        function = getattr(owner, name)

        def noted(*arguments, name=name, function=function, **named):
            log.append(name)
            return function(*arguments, **named)

        monkeypatch.setattr(owner, name, noted)
    for round in stream:
        levels = len(round.draft_tokens)
        draft = ["run"] * (levels + 1) + ["wait"] * levels
        assert log[: len(draft) + 1] == [*draft, "run"]
        log.clear()


@pytest.mark.gpu
@pytest.mark.models
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("strategy", ["none", "kangaroo"])
def test_no_round_waits_for_the_device_in_any_other_way(tiny, tmp_path, strategy):
    model = tiny.model().to("cuda")
    options = {"adapter": tiny.adapter(tmp_path, model)} if strategy == "kangaroo" else None
    decoder = specframe.load(model, strategy=strategy, options=options)
    decoder.decode([1, 2, 3], max_new_tokens=60)  # records
    stream = decoder.stream([1, 2, 3], max_new_tokens=60)
    next(stream)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in stream:
            pass
    finally:
        torch.cuda.set_sync_debug_mode("default")

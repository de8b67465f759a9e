"""What a round reads of the device, and when: all that the host waits for comes together."""

import ast
import re
import time
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
import torch

import specframe
from specframe import Drafter, PluginError, Reading, Sampler, to_device
from specframe._drafting import chain
from specframe._engine.tree_shape import depths_of
from specframe._round.acceptance import Acceptance
from specframe._round.verdict import AwaitedVerdict
from specframe_kangaroo._growth import Ground

READS = ("tolist", "item", "numpy", "__bool__", "__int__", "__float__", "__index__")
FORBIDDEN = {getattr(torch.Tensor, name) for name in READS}
LOOKS = ("__get__", "dim", "size", "as_subclass", "is_floating_point", "is_complex", "__len__")


class OnDevice(torch.Tensor):
    """A tensor, and all that is made of it, whose values may be seen through a Reading alone.

    ``log`` notes what is computed with it ("send") and which readings are waited for ("wait").
    """

    log: ClassVar[list[str]] = []

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in FORBIDDEN:
            raise AssertionError(f"{function.__name__} reads a value of the device by itself")
        if function == torch.Tensor.is_cpu.__get__:
            return False
        if function.__name__ not in LOOKS:
            cls.log.append("send")
        return super().__torch_function__(function, types, args, kwargs or {})


@pytest.fixture
def log(monkeypatch):
    """Return the log of such tensors; what a Reading reads is let go."""
    begin, wait, watched, waited = Reading.__init__, Reading.wait, set(), set()
    monkeypatch.setattr(OnDevice, "log", [])

    def begun(self, *values):
        if any(isinstance(value, OnDevice) for value in values):
            watched.add(self)
        begin(self, *(value.as_subclass(torch.Tensor) for value in values))

    def noted(self):
        if self in watched and self not in waited:
            OnDevice.log.append("wait")
            waited.add(self)
        return wait(self)

    monkeypatch.setattr(Reading, "__init__", begun)
    monkeypatch.setattr(Reading, "wait", noted)
    monkeypatch.setattr(chain, "_all_rows", lambda count, _: torch.ones(count) > on_device(0.0))
    monkeypatch.setattr(Ground, "on_device", lambda _, active: on_device(list(active)))
    return OnDevice.log


def on_device(value):
    return torch.tensor(value).as_subclass(OnDevice)


def waits(log):
    """Return how often the host waited with something to send after it."""
    return "".join(word[0] for word in log).rstrip("s").count("sw")


def watch(decoder):
    """Let the engine answer with such tensors."""
    target, engine = decoder.target, decoder.target.engine
    run, logits, embed = engine.run, engine.logits, engine.embed

    def watched_run(*arguments, **named):
        hidden, taps = run(*arguments, **named)
        return hidden.as_subclass(OnDevice), taps

    engine.run = watched_run
    engine.logits = lambda normed: logits(normed).as_subclass(OnDevice)
    engine.embed = lambda tokens: embed(tokens).as_subclass(OnDevice)
    if not target._recorded.waits:
        walked = target._recorded.walked
        step, device = walked.args
        watched = partial(walked.func, lambda numbers: step(numbers).as_subclass(OnDevice), device)
        target._recorded = Acceptance(watched, waits=False)


def test_numbers_are_sent_and_read_unchanged():
    here = torch.device("cpu")
    assert to_device([[1, 2]], here).tolist() == [[1, 2]]
    values = torch.arange(3), torch.tensor([True])
    assert [value.tolist() for value in Reading(*values).wait()] == [[0, 1, 2], [True]]


def test_the_watch_catches_what_reads_by_itself(log):
    value = on_device([1.0, 1.0]) * 2
    for read in (torch.Tensor.tolist, lambda v: bool(v.all()), lambda v: int(v[0])):
        with pytest.raises(AssertionError, match="by itself"):
            read(value)
    log.clear()
    for _ in range(2):
        reading = Reading(value * 2)
        assert [told.tolist() for told in (*reading.wait(), *reading.wait())] == [[4, 4]] * 2
    assert log == ["send", "wait"] * 2
    assert waits(log) == 2


@pytest.mark.models
@pytest.mark.parametrize("runner", ["eager", "graph"])
@pytest.mark.parametrize("strategy", ["none", "kangaroo", "tree", "fixed", "lookup"])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_round_waits_once_and_once_for_each_level_that_is_asked_about(
    tiny, tmp_path, monkeypatch, log, runner, strategy, temperature
):
    monkeypatch.setenv("SPECFRAME_RUNNER", runner)
    model = tiny.model()
    adapter = {"adapter": tiny.adapter(tmp_path, model), "threshold": 0.2, "steps": 4}
    decoder = {
        "none": partial(specframe.load, model, strategy="none"),
        "lookup": partial(specframe.load, model, strategy="prompt-lookup"),
        "kangaroo": partial(specframe.load, model, options=adapter),
        "tree": partial(specframe.load, model, options=adapter | {"tree": True}),
        "fixed": partial(
            specframe.load, model, options={"adapter": tmp_path, "steps": 4}, stop_policy="fixed"
        ),
    }[strategy]()
    stream = decoder.stream([1, 2, 3], max_new_tokens=30, temperature=temperature, seed=1)
    next(stream)
    watch(decoder)
    for round in stream:
        levels = max(depths_of([-1, *(parent + 1 for parent in round.draft_parents)]))
        asked = levels if strategy in ("kangaroo", "tree") else 0
        is_chosen_later = runner == "eager" and temperature > 0
        assert waits(log) == asked + 1 + is_chosen_later, ("".join(w[0] for w in log), round)
        log.clear()


@pytest.mark.models
@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("tree", [False, True])
@pytest.mark.parametrize(
    "stop_policy", ["heuristic", "svip", "adaedl", "adaptive-confidence", "cost-aware"]
)
def test_no_stop_policy_reads_by_itself(tiny, tmp_path, stop_policy, tree):
    options = {"adapter": tiny.adapter(tmp_path, tiny.model()), "tree": tree}
    decoder = specframe.load(tiny.model(), stop_policy=stop_policy, options=options)
    stream = decoder.stream([1, 2, 3], max_new_tokens=30)
    next(stream)
    watch(decoder)
    assert sum(len(round.committed) for round in stream) == 29


@pytest.fixture
def guessing(tiny, tmp_path, monkeypatch, log):  # noqa: ARG001 (the log is at work meanwhile)
    """Return a stream whose drafts a device chooses, nobody asking; the prompt is read."""
    monkeypatch.setenv("SPECFRAME_RUNNER", "graph")
    options = {"adapter": tiny.adapter(tmp_path, tiny.model()), "steps": 4}
    decoder = specframe.load(tiny.model(), stop_policy="fixed", options=options)
    stream = decoder.stream([1, 2, 3], max_new_tokens=30)
    next(stream)
    watch(decoder)
    return stream


@pytest.mark.models
def test_the_time_of_a_draft_ends_when_the_device_has_it(guessing, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    wait, durations = Reading.wait, iter([5.0, 3.0, 0.25])  # draft, scores, verdict

    def slow(self):
        before = len(OnDevice.log)
        told = wait(self)
        if len(OnDevice.log) > before:
            now[0] += next(durations)
        return told

    monkeypatch.setattr(Reading, "wait", slow)
    seconds = next(guessing).seconds
    assert (seconds["draft"], seconds["verify"]) == (5.0, 3.25)


@pytest.mark.models
def test_a_token_that_there_is_not_is_refused_when_the_device_has_told_it(guessing, monkeypatch):
    monkeypatch.setattr(Sampler, "_chosen", lambda _, logits: logits.argmax(dim=-1) + 1000)
    monkeypatch.setattr(
        specframe.Target, "embed", lambda target, tokens: target.engine.embed(tokens % 59)
    )
    with pytest.raises(PluginError, match=r"row 0, node 1 holds token 1\d+, out of vocabulary"):
        list(guessing)


@pytest.mark.models
@pytest.mark.parametrize("output_probs", [False, True])
def test_waiting_for_a_verdict_is_verifying(tiny, monkeypatch, output_probs):
    monkeypatch.setenv("SPECFRAME_RUNNER", "graph")
    now, wait = [0.0], AwaitedVerdict.path_lists.fget
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def slow(verdict):
        now[0] += 0.0 if hasattr(verdict, "is_there") else 3.0
        verdict.__dict__["is_there"] = True
        return wait(verdict)

    monkeypatch.setattr(AwaitedVerdict, "path_lists", property(slow))
    result = specframe.load(tiny.model(), strategy="none").decode(
        [1, 2, 3], max_new_tokens=5, output_probs=output_probs
    )
    assert result.metrics.seconds["verify"] == 4 * 3.0


class Head(Drafter):
    """Draft a token that there is not, on the device, without running a layer."""

    def start(self, target, rows, captured):
        self.target = target

    def propose(self, rows, stop, sampler):
        tree = self.target.tree(rows)
        if all(rows.rooms):
            tree.add(on_device([[1000]] * len(rows)))
        return tree.draft()


@pytest.mark.models
@pytest.mark.usefixtures("log")
def test_what_a_device_cannot_embed_is_told_by_name(tiny, monkeypatch):
    monkeypatch.setenv("SPECFRAME_RUNNER", "graph")
    decoder = specframe.load(tiny.model(), strategy=Head())
    with pytest.raises(PluginError, match="row 0, node 1 holds token 1000, out of vocabulary"):
        decoder.decode([1, 2, 3], max_new_tokens=5)


ROUNDS = [
    path
    for folder in ("strategies", "verifiers")
    for path in sorted((Path(__file__).parent.parent / folder).glob("specframe_*/*.py"))
    if not {"train", "teacher", "data", "demo"} & set(re.findall(r"[a-z]+", path.stem))
]


@pytest.mark.parametrize("path", ROUNDS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_plug_ins_send_numbers_without_waiting(path):
    """`torch.tensor(numbers, device=...)` waits for all that was sent to the device before."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.tensor":
            named = {keyword.arg for keyword in node.keywords}
            assert "device" not in named, f"line {node.lineno}: use to_device"


@pytest.mark.gpu
@pytest.mark.models
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize(
    ("strategy", "stop_policy"),
    [
        ("none", None),
        ("prompt-lookup", None),
        ("early-exit", None),
        *(("kangaroo", policy) for policy in ("confidence", "fixed", "cost-aware", "svip")),
    ],
)
def test_no_round_waits_for_the_device_in_any_other_way(
    tiny, tmp_path, strategy, stop_policy, temperature
):
    model = tiny.model().to("cuda")
    options = {"early-exit": {"exit_layer": 1}}.get(strategy)
    if strategy == "kangaroo":
        options = {"adapter": tiny.adapter(tmp_path, model)}
    decoder = specframe.load(model, strategy=strategy, options=options, stop_policy=stop_policy)
    asked = {"max_new_tokens": 60, "temperature": temperature, "seed": 1}
    decoder.decode([1, 2, 3], **asked)  # records
    stream = decoder.stream([1, 2, 3], **asked)
    next(stream)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in stream:
            pass
    finally:
        torch.cuda.set_sync_debug_mode("default")

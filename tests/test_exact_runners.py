"""Exact mode on the graph runner: the same bits, recorded, replayed or opened anew."""

import itertools
import warnings
from functools import cache, partial

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import specframe
from exact_cases import LEVELS, PROMPTS, Case, ScriptedTree, ask, check_same
from specframe import Board, MemoryShortageError, ModelError, SpecframeError
from specframe._engine.runners import fusion, recording
from specframe._engine.runners.fallback import stop
from specframe._engine.runners.fusion import Fusion
from specframe._engine.runners.graph import GraphEngine
from specframe._engine.runners.recording import Recorder, StandIn
from specframe._engine.runners.selection import on_exact_runner
from specframe._engine.runners.static import Shape
from specframe._errors import RunnerError
from specframe._exact.exact_engine import BLOCK, ExactEngine
from specframe._exact.exact_probe import admit_exact
from specframe._exact.exact_runner import admit_on_runner, exact_on_runner
from tiny_split import TinyModel

pytestmark = pytest.mark.usefixtures("tiny")  # which leaves one thread to torch
# torch's compiler imports what torch itself calls deprecated.
COMPILING = pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
MODEL = TinyModel()
LAYERS = len(MODEL.layers)
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
DTYPES = ("float32", "bfloat16")
PLACES = [("cpu", runner, dtype) for runner in ("graph", "fused") for dtype in DTYPES]
PLACES += [
    pytest.param(("cuda", runner, dtype), marks=[pytest.mark.gpu, NO_CUDA, COMPILING])
    for runner in ("graph", "fused")
    for dtype in DTYPES
]
BATCH = [*PROMPTS, PROMPTS[1] * 5]
BUDGETS = [30, 9, 17]
STRATEGIES = {
    "none": {},
    "kangaroo": {"threshold": 0.3, "exit_layer": 2},
    "kangaroo-tree": {"tree": True, "threshold": 0.0, "max_nodes": 20, "steps": 4},
    "prompt-lookup": {},
}


@pytest.fixture(scope="module", params=PLACES, ids=" ".join)
def case(request, tiny, tmp_path_factory):
    device, runner, dtype = request.param
    folder = tmp_path_factory.mktemp("exact")
    try:
        made = Case(tiny, folder, "llama", dtype, "handed over", runner=runner, device=device)
    except (ModelError, RuntimeWarning) as refusal:
        if device == "cpu":
            raise
        if any(words in str(refusal) for words in ("could not be recorded", "compile failed")):
            raise
        pytest.skip(f"the probe does not admit it: {refusal}")
    assert isinstance(made.decoder.target.engine._inner, GraphEngine)
    return made


def decoder_of(case, strategy):
    if strategy == "none":
        return case.decoder.plain()
    if strategy.startswith("kangaroo"):
        return case.kangaroo(**STRATEGIES[strategy])
    return case.with_strategy(strategy, STRATEGIES[strategy])


def recordings(decoder):
    return decoder.target.engine._inner._recorder.count


def shapes(decoder):
    """Return the shapes of all recorded passes through layers, row by row."""
    return [
        {shape for replays in row.engine._stretches.values() for shape in replays._recorded}
        for row in decoder.target.engine._rows
    ]


@pytest.mark.models
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_rows_that_end_apart_have_the_bits_of_plain_decoding(case, strategy):
    """In the first decode passes are recorded just then, in the second one all are replayed."""
    decoder, counts = decoder_of(case, strategy), []
    for _ in range(2):
        results = ask(decoder, BATCH, BUDGETS)
        for result, prompt, count in zip(results, BATCH, BUDGETS, strict=True):
            check_same(result, case.plain(prompt, count))
        counts.append(recordings(decoder))
    assert counts[0] == counts[1], "rows that left in the first decode keep what they recorded"


@pytest.mark.models
@pytest.mark.parametrize("strategy", ["none", "kangaroo-tree"])
def test_larger_buffers_change_neither_bits_nor_shapes(case, strategy):
    decoder, prompt, count = decoder_of(case, strategy), PROMPTS[1], 40
    check_same(ask(decoder, prompt, count), case.plain(prompt, count))
    (row,) = decoder.target.engine._rows
    assert row.length == 64 < row.slots
    (recorded,) = shapes(decoder)
    assert Shape(1, BLOCK, 64, masked=True) in recorded
    assert {shape.reach for shape in recorded} <= {64, row.slots}

    ask(decoder, prompt * 9, 100)
    assert decoder.target.engine._rows[0].slots > row.slots
    check_same(ask(decoder, prompt, count), case.plain(prompt, count))
    (row,), (recorded,) = decoder.target.engine._rows, shapes(decoder)
    assert Shape(1, BLOCK, 64, masked=True) in recorded
    assert {shape.reach for shape in recorded} <= {64, 256, row.slots}  # 256: the long prompt's


@pytest.mark.models
def test_trees_beyond_the_length_change_no_bit(case):
    prompt, count = PROMPTS[1], 64 - len(PROMPTS[1])
    theirs = case.plain(prompt, count)
    drafter = ScriptedTree(prompt + theirs.token_ids, [*LEVELS, [(0, 9), (5, 5)]], 2)
    check_same(ask(case.with_drafter(drafter), prompt, count), theirs)


@pytest.mark.models
def test_twins_record_each_for_itself_and_a_batch_no_more_than_it_must(case):
    decoder = decoder_of(case, "kangaroo")
    before = recordings(decoder)
    ask(decoder, BATCH[:2], 20)
    # Two stretches of layers in each row; one norm and one head for all rows.
    assert recordings(decoder) - before == 2 * 2 + 2


# The tests below use a model of three layers in float64, unless they name another one.


def exact_engine(recording_device=None):
    recorder = Recorder(recording_device or StandIn(), stop)
    return ExactEngine(GraphEngine(MODEL.engine().split, recorder, shape_of=Shape.as_given))


PROMPT = [1, 2, 3, 1, 2]
CHAIN = [(3 * place * place + place) % MODEL.vocab for place in range(40)]


@torch.inference_mode()
def logits_of(engine, slots, counts, exit, stale=()):
    """Score the chain in passes of so many tokens, each in two passes through the layers."""
    engine.expect([64])
    engine.open(1, slots)
    engine.fill(0, [*PROMPT, *stale])
    engine.fill(0, PROMPT)
    board, at, told = Board(slots), 0, []
    for count in counts:
        tokens = torch.tensor([CHAIN[at : at + count]])
        placement = board.chain(len(PROMPT) + at, tokens.shape[1])
        hidden = engine.embed(tokens)
        for lo, hi in ((0, exit), (exit, LAYERS)):
            hidden, _ = engine.run(hidden, placement, lo, hi)
        told.append(engine.logits(engine.norm(hidden)))
        at += count
    return torch.cat(told, dim=1)[0]


@cache
def plain_logits():
    return logits_of(exact_engine(), 64, [1] * len(CHAIN), LAYERS)


SERVING = exact_engine()  # one engine for all examples: what it recorded before may not matter


@settings(max_examples=60, deadline=None)
@given(
    st.integers(64, 400),
    st.lists(st.integers(1, 20), min_size=1, max_size=4),
    st.integers(0, LAYERS),
    st.lists(st.integers(0, MODEL.vocab - 1), max_size=50),
    st.booleans(),
)
def test_any_passes_on_any_buffers_have_the_same_bits(slots, counts, exit, stale, is_fresh):
    starts = list(itertools.accumulate(counts))
    counts = [count for count, end in zip(counts, starts, strict=True) if end <= len(CHAIN)]
    if not counts:
        return
    engine = exact_engine() if is_fresh else SERVING
    told = logits_of(engine, slots, counts, exit, stale)
    assert torch.equal(told, plain_logits()[: sum(counts)])


def test_exact_passes_are_recorded_as_they_come():
    for slots in (100, 400):
        engine = exact_engine()
        logits_of(engine, slots, [1, 20], 1)
        (row,) = engine._rows
        recorded = {key for each in row.engine._stretches.values() for key in each._recorded}
        assert recorded == {Shape(1, BLOCK, 64, masked=True)}
        assert set(engine._inner._norm._recorded) == {Shape(1, BLOCK)}


def test_recordings_end_with_their_buffers_and_serve_until_then():
    engine, counts = exact_engine(), []
    for slots in (100, 100, 70, 400):
        told = logits_of(engine, slots, [1, 20], 1)
        assert torch.equal(told, plain_logits()[:21])
        counts.append(engine._inner._recorder.count)
    assert counts == [4, 4, 4, 6], "two stretches, one norm and one head"


class Refusing(StandIn):
    """A stand-in whose recordings fail after the first few."""

    def __init__(self, most, error=RuntimeError):
        super().__init__()
        self.most, self.error = most, error

    def record(self, body):
        if self.most == 0:
            raise self.error("operation not permitted when stream is capturing")
        self.most -= 1
        return super().record(body)


class Drifting(StandIn):
    """A stand-in whose recordings differ from one another in their last bits."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def record(self, body):
        self.count += 1
        drift = self.count * 1e-12
        return super().record(lambda: tuple(output + drift for output in body()))


STOPPED = (
    "exact mode stops here: a pass of shape .* could not be recorded .RuntimeError: operation not "
    "permitted when stream is capturing., and without that the same tokens would have other bits. "
    "Decode with SPECFRAME_RUNNER=eager$"
)


def test_a_recording_that_fails_after_admission_stops_exact_mode_again_and_again():
    engine = exact_engine(Refusing(2))
    for _ in range(2):
        with pytest.raises(RunnerError, match=STOPPED) as stopped:
            logits_of(engine, 64, [1], 1)
    assert isinstance(stopped.value, SpecframeError)
    assert not engine._inner._recorder.has_failed


@pytest.mark.models
def test_a_shortage_of_memory_while_recording_stays_one(tiny, monkeypatch):
    monkeypatch.setenv("SPECFRAME_RUNNER", "graph")
    recording_device = Refusing(100, torch.OutOfMemoryError)
    monkeypatch.setattr(recording, "StandIn", lambda: recording_device)
    decoder = specframe.load(tiny.model(), strategy="none", exact=True)
    recording_device.most = 0
    with pytest.raises(MemoryShortageError):
        decoder.decode([1, 2, 3], max_new_tokens=4)


@pytest.mark.models
def test_a_decoder_says_it_in_one_sentence_and_never_continues_otherwise(tiny, monkeypatch):
    monkeypatch.setenv("SPECFRAME_RUNNER", "graph")
    recording_device = Refusing(100)
    monkeypatch.setattr(recording, "StandIn", lambda: recording_device)
    decoder = specframe.load(tiny.model(), strategy="none", exact=True)
    recording_device.most = 0
    for each in (decoder, decoder.plain(), decoder):
        with pytest.raises(SpecframeError, match=STOPPED):
            each.decode([1, 2, 3], max_new_tokens=4)


@pytest.mark.models
@torch.inference_mode()
def test_a_compilation_that_fails_after_admission_stops_exact_mode(tiny):
    compiler = Compiler()
    torch.compiler.reset()
    engine = on_exact_runner(loaded_engine(tiny), "eager")
    fused = GraphEngine(
        engine.split, Recorder(StandIn(), stop), Fusion(compiler, stop), Shape.as_given
    )
    exact = admit_exact(fused)
    compiler.works = False
    logits_of(exact, 64, [1], 1)
    torch.compiler.reset()  # as a change of torch's global settings does
    for _ in range(2):
        with pytest.raises(RunnerError, match=r"stops here: torch\.compile failed .*no compiler"):
            logits_of(ExactEngine(fused), 64, [1], 1)
    assert not fused._fusion.has_failed
    torch.compiler.reset()


class Compiler:
    """Hand back what is to be compiled, as long as it works."""

    def __init__(self, *, works=True):
        self.works = works

    def __call__(self, graph, inputs):
        if not self.works:
            raise RuntimeError("no compiler here")
        return graph.forward


def loaded_engine(tiny):
    from specframe._loading.loading import Source, load_model
    from specframe._plugins.discovery import load_plugins

    return load_model(Source(tiny.model(dtype="float64")), load_plugins().registry).engine


SAID = "exact mode runs on the {} runner, more slowly: on the {} runner, "


@pytest.mark.parametrize("recording_device", [Drifting, partial(Refusing, 0), partial(Refusing, 4)])
def test_what_the_runner_cannot_keep_the_eager_one_does_and_one_warning_says_so(
    recording_device, monkeypatch
):
    monkeypatch.setenv("SPECFRAME_RUNNER", "graph")
    monkeypatch.setattr(recording, "StandIn", recording_device)
    with pytest.warns(RuntimeWarning) as told:
        exact = exact_on_runner(MODEL.engine())
    assert not isinstance(exact._inner, GraphEngine)
    (said,) = map(str, (each.message for each in told))
    assert said.startswith(SAID.format("eager", "graph"))
    reason = (
        "changes the bits of a token's logits" if recording_device is Drifting else "is capturing)"
    )
    assert said.endswith(reason)
    assert torch.equal(logits_of(exact, 64, [7, 20], 1), plain_logits()[:27])


@pytest.mark.models
def test_where_nothing_compiles_graphs_are_probed_without_it(tiny, monkeypatch):
    monkeypatch.setenv("SPECFRAME_RUNNER", "fused")
    monkeypatch.setattr(fusion, "Fusion", partial(Fusion, Compiler(works=False)))
    torch.compiler.reset()
    with pytest.warns(
        RuntimeWarning, match=SAID.format("graph", "fused") + "torch.compile"
    ) as told:
        decoder = specframe.load(tiny.model(), strategy="none", exact=True)
    torch.compiler.reset()
    assert len(told) == 1
    assert isinstance(decoder.target.engine._inner, GraphEngine)
    assert decoder.target.engine._inner._fusion is None


def test_where_the_eager_runner_is_refused_too_exact_mode_is(monkeypatch):
    monkeypatch.setenv("SPECFRAME_RUNNER", "graph")
    engine = MODEL.engine()
    head = engine.split.head
    places = torch.arange(BLOCK, dtype=torch.float64)[:, None]
    engine._split = attrs.evolve(engine.split, head=lambda hidden: head(hidden) + 1e-12 * places)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ModelError, match="exact mode is refused: in float64 on cpu, standing"):
            exact_on_runner(engine)


@pytest.mark.parametrize(("runner", "kind"), [("eager", False), ("graph", True), ("fused", True)])
def test_exact_mode_is_on_the_runner_of_the_device(runner, kind, monkeypatch):
    monkeypatch.setenv("SPECFRAME_RUNNER", runner)
    monkeypatch.setattr(fusion, "Fusion", partial(Fusion, Compiler()))
    admitted = admit_on_runner(MODEL.engine())
    assert (admitted.runner, admitted.shortfall) == (runner, "")
    assert isinstance(admitted.engine._inner, GraphEngine) is kind
    assert isinstance(admitted.engine.twin()._inner, GraphEngine) is kind

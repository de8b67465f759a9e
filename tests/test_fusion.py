"""Compiled layers: compiled once for all layers of a kind; a failure costs speed alone."""

import pytest
import torch

from specframe import Board
from specframe._engine.runners import fusion
from specframe._engine.runners.fusion import Fusion
from specframe._engine.runners.graph import GraphEngine
from specframe._engine.runners.recording import Recorder, StandIn

pytestmark = pytest.mark.models
SLOTS, BASES = 640, (30, 200, 290)  # three reaches


@pytest.fixture(autouse=True)
def _forget_what_was_compiled():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


class Counting:
    """A compiler that runs what it is given as it is, and counts."""

    def __init__(self):
        self.count = 0

    def __call__(self, graph, inputs):
        self.count += 1
        return graph.forward


def loaded_engine(tiny, family, layers):
    from specframe._loading.loading import Source, load_model
    from specframe._plugins.discovery import load_plugins

    model = tiny.model(
        family, dtype="float64", max_position_embeddings=SLOTS, num_hidden_layers=layers
    )
    return load_model(Source(model), load_plugins().registry).engine


def states_of(engine):
    """Return the states after a single token and after a tree, at each base."""
    board, told = Board(SLOTS), []
    engine.open(1, SLOTS)
    engine.fill(0, [1, 2, 3] * 100)
    for base in BASES:
        single, tree = torch.tensor([[4]]), torch.tensor([[4, 5, 6]])
        fork = board.trees([base], [[-1, 0, 0]], [[base, base + 1, base + 2]])
        for tokens, placement in ((single, board.chain(base, 1)), (tree, fork)):
            told.append(engine.run(engine.embed(tokens), placement, 0, engine.num_layers)[0])
    return told


@torch.inference_mode()
@pytest.mark.parametrize(("family", "pattern"), [("llama", 2), ("gpt2", 2), ("gemma3_text", 6)])
def test_one_compilation_serves_all_layers_of_a_kind_and_all_reaches(tiny, family, pattern):
    counts = []
    for layers in (pattern, 2 * pattern):
        torch.compiler.reset()
        compiler = Counting()
        eager = loaded_engine(tiny, family, layers)
        engine = GraphEngine(eager.split, Recorder(StandIn()), Fusion(compiler))
        for fused, plain in zip(states_of(engine), states_of(eager), strict=True):
            torch.testing.assert_close(fused, plain, rtol=0, atol=1e-4)
        counts.append(compiler.count)
    assert 0 < counts[0] == counts[1] <= 16


@torch.inference_mode()
def test_a_failed_compilation_is_told_once_and_decoding_continues(tiny):
    def refuse(_graph, _inputs):
        raise RuntimeError("no compiler here")

    eager = loaded_engine(tiny, "llama", 3)
    engine = GraphEngine(eager.split, Recorder(StandIn()), Fusion(refuse))
    with pytest.warns(RuntimeWarning, match="without fused kernels.*no compiler here") as told:
        fused = states_of(engine)
    assert len(told) == 1
    assert engine._recorder.count > 0, "what cannot be fused is recorded all the same"
    for one, other in zip(fused, states_of(eager), strict=True):
        torch.testing.assert_close(one, other)


@torch.inference_mode()
def test_more_shapes_than_are_compiled_are_told_once_too(tiny, monkeypatch):
    """The compiler by itself would silently run the layers uncompiled from there on."""
    monkeypatch.setitem(fusion.SETTINGS, "recompile_limit", 1)
    engine = GraphEngine(
        loaded_engine(tiny, "llama", 2).split, Recorder(StandIn()), Fusion(Counting())
    )
    with pytest.warns(
        RuntimeWarning, match=r"without fused kernels.*torch\.compile failed"
    ) as told:
        states_of(engine)
    assert len(told) == 1

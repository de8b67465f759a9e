"""The graph runner on its stand-in: the eager runner's tokens in every decode."""

import subprocess
import sys

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specframe import Board, InputError, SlotCache
from specframe._engine.runners.graph import GraphEngine
from specframe._engine.runners.recording import Recorder, StandIn
from specframe._engine.runners.selection import on_runner
from specframe._engine.runners.static import (
    Replays,
    Shape,
    StaticInputs,
    rounded_reach,
    rounded_width,
)
from tiny_split import TinyModel

MODEL = TinyModel()
PROMPTS = [[3, 14, 15, 9], [26, 5], [8] * 9, [1, 2, 3, 1, 2, 3, 1, 2], [7]]


class Refusing(StandIn):
    """A stand-in whose recordings fail after the first few."""

    def __init__(self, most):
        super().__init__()
        self.most = most

    def record(self, body):
        if self.most == 0:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.most -= 1
        return super().record(body)


def graph_engine(device=None):
    return GraphEngine(MODEL.engine().split, Recorder(device or StandIn()))


@given(st.integers(1, 5000))
def test_widths_and_reaches_are_rounded_up_by_little(count):
    assert count <= rounded_width(count) < 2 * count + 1
    assert count <= rounded_reach(count) < count + max(128, count / 4)


def test_few_shapes_cover_every_length():
    assert len({rounded_reach(length) for length in range(1, 4097)}) <= 20
    assert len({rounded_width(tokens) for tokens in range(1, 65)}) == 7


def test_padding_is_zeros_in_the_last_slot_and_sees_the_first():
    inputs = StaticInputs(Shape(1, 4, 8, masked=True), torch.zeros(1, 4, 2), 8)
    board = Board(8)
    wide = board.trees([1], [[-1, 0, 0, 1]], [[1, 2, 3, 4]])
    inputs.put(torch.full((1, 4, 2), torch.nan), wide)
    inputs.put(torch.ones(1, 2, 2), board.trees([2], [[-1, 0]], [[2, 4]]))
    assert inputs.states[0].tolist() == [[1, 1], [1, 1], [0, 0], [0, 0]]
    placed = inputs.placement()
    assert placed.slots[0].tolist() == [2, 4, 7, 7]
    sees = [row.nonzero().flatten().tolist() for row in placed.visible[0]]
    assert sees == [[0, 1, 2], [0, 1, 2, 4], [0], [0]]


def test_positions_of_slots_are_those_of_the_pass():
    inputs = StaticInputs(Shape(1, 2, 8, masked=True), torch.zeros(1, 2, 2), 8)
    board = Board(8)
    fork = board.trees([1], [[-1, 0, 0]], [[1, 5, 2]], first=1)
    inputs.put(torch.zeros(1, 2, 2), fork)
    assert inputs.placement().key_positions[0].tolist() == [0, 1, 2, 3, 4, 2, 6, 7]
    inputs.put(torch.zeros(1, 2, 2), attrs.evolve(fork, key_positions=None))
    assert inputs.placement().key_positions[0].tolist() == list(range(8))


def test_a_mask_of_an_earlier_pass_lets_nothing_through():
    inputs = StaticInputs(Shape(1, 2, 8, masked=True), torch.zeros(1, 2, 2), 8)
    board = Board(8)
    inputs.put(torch.zeros(1, 2, 2), board.trees([4], [[-1, 0]], [[4, 6]]))
    inputs.put(torch.zeros(1, 2, 2), board.trees([1], [[-1, 0]], [[1, 3]]))
    assert inputs.placement().visible[0, 1].nonzero().flatten().tolist() == [0, 1, 3]


def test_what_a_replay_returned_outlives_the_next():
    double = Replays(lambda states, _: (2 * states,), Recorder(StandIn()), lambda: 1)
    triple = Replays(lambda states, _: (3 * states,), double._recorder, lambda: 1)
    ones = torch.ones(1, 3, 2)
    first = [double(ones)[0], triple(ones)[0]]
    double(ones * 5), triple(ones * 5)
    assert [answer.unique().tolist() for answer in first] == [[2.0], [3.0]]
    assert first[0].shape == ones.shape


def test_a_second_decode_on_the_same_buffers_records_nothing():
    engine = graph_engine()
    counts = []
    for length in (9, 5):
        engine.open(2, 40)
        for row in range(2):
            engine.fill(row, list(range(length)))
        placement = Board(40).spans([length, length], [1, 1])
        hidden, taps = engine.run(
            engine.embed(torch.tensor([[1], [2]])), placement, 0, 3, taps={1, 3}
        )
        assert set(taps) == {1, 3}
        engine.logits(engine.norm(hidden))
        counts.append(engine._recorder.count)
    assert counts == [3, 3]


def test_larger_buffers_are_recorded_anew():
    engine = graph_engine()
    for slots in (200, 400):  # the reach is the same in both
        engine.open(1, slots)
        engine.fill(0, [1, 2, 3])
        hidden, _ = engine.run(engine.embed(torch.tensor([[4]])), Board(slots).chain(3, 1), 0, 3)
        expected = torch.tensor(MODEL.logits([1, 2, 3, 4]), dtype=torch.float64)
        torch.testing.assert_close(engine.logits(engine.norm(hidden))[0, 0], expected)
    assert engine._recorder.count == 4, "two stretches, one norm and one head"


def chain_of(engine, tokens):
    """Run tokens one by one after a prompt of three, beside a twin; return the last logits."""
    for at, token in enumerate(tokens):
        embedded = engine.embed(torch.tensor([[token]]))
        hidden, _ = engine.run(embedded, Board(40).chain(3 + at, 1), 0, 3)
        logits = engine.logits(engine.norm(hidden))[0, 0]
        engine.twin().norm(hidden.repeat(1, 3, 1))
    return logits


@pytest.mark.parametrize("most", range(4))
def test_a_failed_recording_is_told_once_and_decoding_continues(most):
    engine = graph_engine(Refusing(most))
    engine.open(1, 40)
    engine.fill(0, [1, 2, 3])
    with pytest.warns(RuntimeWarning, match="without recorded graphs.*when stream") as told:
        logits = chain_of(engine, [4, 5, 6])
    assert len(told) == 1
    expected = torch.tensor(MODEL.logits([1, 2, 3, 4, 5, 6]), dtype=torch.float64)
    torch.testing.assert_close(logits, expected)
    assert engine._recorder.count == most


def test_errors_of_a_step_that_no_recording_causes_come_through():
    replays = Replays(lambda states, _: (states @ states,), Recorder(StandIn()), lambda: 1)
    with pytest.warns(RuntimeWarning), pytest.raises(RuntimeError, match="size"):
        replays(torch.ones(1, 3, 2))


def test_an_unknown_runner_is_refused(monkeypatch):
    monkeypatch.setenv("SPECFRAME_RUNNER", "fast")
    with pytest.raises(InputError, match="eager, graph, fused, got 'fast'"):
        on_runner(MODEL.engine())


def addresses(cache):
    parts = (*cache._keys, *cache._values, cache._rows)
    return [part.data_ptr() for part in parts]


def test_a_cache_keeps_its_addresses_when_rows_leave_and_when_it_is_opened_again():
    cache = SlotCache(2, 3, 2, 8, 4)
    before = addresses(cache)
    cache.keep([0, 2])
    assert addresses(cache) == before
    for batch in (3, 1, 2):
        assert cache.reopen(batch, 6)
        assert addresses(cache) == before
    assert not cache.reopen(4, 8)
    assert not cache.reopen(1, 9)


@pytest.mark.slow
def test_eager_decoding_does_not_import_the_compiler():
    code = """
import sys, specframe
from specframe._engine.runners.selection import on_runner
from specframe.testing._tiny_model import TinyModel
on_runner(TinyModel().engine())
import specframe._decoder.decoder
assert not {f'specframe._engine.runners.{name}' for name in ('graph', 'fusion')} & {*sys.modules}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_move_touches_what_was_accepted_and_the_last_slot_alone():
    cache = SlotCache(2, 2, 1, 6, 1)
    cache._storage.copy_(torch.arange(48).view(2, 2, 2, 1, 6, 1))
    before = cache._storage.clone()
    # The second row accepted nothing, and has no slot left after its root.
    cache.move(torch.tensor([[3, 2, 4], [0, 0, 0]]), torch.tensor([1, 5]), torch.tensor([2, 0]))
    before[:, :, 0, :, 1:3] = before[:, :, 0, :, [3, 2]]
    torch.testing.assert_close(cache._storage[..., :5, :], before[..., :5, :], rtol=0, atol=0)

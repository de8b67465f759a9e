"""Attention over the cache and rotary tables, against the textbook in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specframe import Board, Pass, RotaryTable, SlotCache
from specframe._engine import PREFILL_CHUNK
from table_engine import seen_slots
from tiny_split import (
    HEAD_DIM,
    HEADS,
    KV_HEADS,
    TinyModel,
    rotary_rows,
    textbook_attention,
    textbook_rotation,
)

SLOTS = 24
FLOAT64 = {"rtol": 0, "atol": 1e-12}


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


placements = st.one_of(
    st.tuples(st.integers(0, 8), st.integers(1, 9)).map(lambda args: Board(SLOTS).chain(*args)),
    st.tuples(st.integers(0, 8), st.integers(1, 9)).map(
        lambda args: Board(SLOTS).spans([args[0], 3], [args[1], 2])
    ),
    st.tuples(st.integers(1, 8), st.permutations(range(9, 14))).map(
        lambda args: Board(SLOTS).trees(
            [args[0], 4],
            [[-1, 0, 0, 1, 2, 3], [-1, 0, 0]],
            [[args[0], *args[1]], [4, 5, 6]],
        )
    ),
)


@settings(max_examples=200, deadline=None)
@given(placements, st.sampled_from([None, 1, 2, 5, 100]), st.sampled_from([1, 2, 4]), st.integers())
def test_attention_over_the_cache_is_the_textbooks(placement, window, kv_heads, seed):
    batch, count = placement.positions.shape
    query = noise(batch, count, HEADS, HEAD_DIM, seed=seed % 1000)
    buffers = noise(2, batch, kv_heads, SLOTS, HEAD_DIM, seed=1 + seed % 1000)
    key, value = buffers[:, :, :, : placement.reach]
    shared = Pass(placement, None, HEADS // kv_heads, torch.float64)
    attended = shared.attend(query, key, value, window=window)
    for row, seen in enumerate(seen_slots(placement)):
        sees = [
            [slot for at, slot in pairs if window is None or at > position - window]
            for position, pairs in zip(placement.positions[row].tolist(), seen, strict=True)
        ]
        expected = textbook_attention(
            query[row], key[row].transpose(0, 1), value[row].transpose(0, 1), sees
        )
        torch.testing.assert_close(attended[row], expected, **FLOAT64)


def test_the_scale_that_is_given_is_used():
    for placement in (Board(SLOTS).chain(0, 5), Board(SLOTS).chain(4, 1), Board(SLOTS).chain(3, 2)):
        count = placement.positions.shape[1]
        query = noise(1, count, HEADS, HEAD_DIM)
        key, value = noise(2, 1, KV_HEADS, placement.reach, HEAD_DIM, seed=1)
        shared = Pass(placement, None, HEADS // KV_HEADS, torch.float64)
        attended = shared.attend(query, key, value, scale=0.9)
        sees = [[slot for _, slot in seen] for seen in seen_slots(placement)[0]]
        expected = textbook_attention(
            query[0], key[0].transpose(0, 1), value[0].transpose(0, 1), sees, scale=0.9
        )
        torch.testing.assert_close(attended[0], expected, **FLOAT64)


@settings(max_examples=100, deadline=None)
@given(placements)
def test_a_rotary_table_turns_every_token_by_its_position(placement):
    batch, count = placement.positions.shape
    states = noise(batch, count, HEADS, HEAD_DIM)
    table = RotaryTable(*rotary_rows(torch.arange(SLOTS)))
    turned = Pass(placement, table, 1, torch.float64).rotate(states)
    for row, positions in enumerate(placement.positions.tolist()):
        expected = textbook_rotation(states[row], positions)
        torch.testing.assert_close(turned[row], expected, **FLOAT64)


@pytest.mark.parametrize("kind", ["chain", "tree"])
def test_what_is_masked_is_of_no_consequence_to_a_single_bit(kind):
    board = Board(SLOTS)
    placement = (
        board.chain(3, 4) if kind == "chain" else board.trees([3], [[-1, 0, 0, 1]], [[3, 6, 4, 9]])
    )
    query, (key, value) = noise(1, 4, HEADS, HEAD_DIM), noise(2, 1, 4, KV_HEADS, HEAD_DIM, seed=1)
    answers = []
    for garbage in (0.0, 1e6):
        cache = SlotCache(1, 1, KV_HEADS, SLOTS, HEAD_DIM, torch.float64)
        cache.put(0, *noise(2, 1, 3, KV_HEADS, HEAD_DIM, seed=2), board.chain(0, 3))
        unseen = [slot for slot in range(3, SLOTS) if slot not in placement.slots]
        cache._storage[:, :, :, :, unseen] = garbage
        shared = Pass(placement, None, HEADS // KV_HEADS, torch.float64)
        answers.append(shared.attend(query, *cache.put(0, key, value, placement)))
    assert torch.equal(*answers)


@pytest.mark.parametrize("length", [1, 3, PREFILL_CHUNK, PREFILL_CHUNK + 1, PREFILL_CHUNK + 40])
def test_a_prompt_filled_in_chunks_is_the_prompt_filled_at_once(length):
    model = TinyModel()
    tokens = [(at * 7 + at // 5) % 11 for at in range(length)]
    engine = model.engine()
    engine.open(1, length + 2)
    filled = engine.fill(0, tokens, taps=range(4))
    hidden = model.table[torch.tensor([tokens])]
    whole = model.engine()
    whole.open(1, length + 2)
    expected, taps = whole.run(hidden, Board(length + 2).chain(0, length), 0, 3, taps=range(4))
    torch.testing.assert_close(filled.last, expected[:, -1], **FLOAT64)
    for layer in range(4):
        torch.testing.assert_close(filled.taps[layer], taps[layer][0], **FLOAT64)


def test_the_engine_runs_a_model_as_its_textbook_says():
    model, tokens = TinyModel(), [3, 1, 4, 1, 5, 9, 2, 6]
    engine = model.engine()
    engine.open(1, 16)
    engine.fill(0, tokens)
    for layer, (*expected, _) in enumerate(model.states(tokens)):
        read = engine.cache.read(layer, 0, list(range(len(tokens))))
        for ours, theirs in zip(read, expected, strict=True):
            torch.testing.assert_close(ours, theirs.transpose(0, 1), **FLOAT64)

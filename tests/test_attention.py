"""Attention over the cache and rotary tables, against the textbook in float64."""

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specframe import Board, Pass, RotaryTable, SlotCache, packed, unpacked
from specframe._engine.attention import WIDE
from specframe._engine.engine import PREFILL_CHUNK, LayerEngine
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
@given(
    placements,
    st.sampled_from([None, 1, 2, 5, 100]),
    st.sampled_from([None, 0.3, 2.0]),
    st.sampled_from([1, 2, 4]),
    st.integers(),
)
def test_attention_over_the_cache_is_the_textbooks(placement, window, softcap, kv_heads, seed):
    batch, count = placement.positions.shape
    query = noise(batch, count, HEADS, HEAD_DIM, seed=seed % 1000)
    buffers = noise(2, batch, kv_heads, SLOTS, HEAD_DIM, seed=1 + seed % 1000)
    key, value = buffers[:, :, :, : placement.reach]
    shared = Pass(placement, None, HEADS // kv_heads, torch.float64)
    packing = placement.packing
    attended = shared.attend(packed(packing, query), key, value, window=window, softcap=softcap)
    attended = unpacked(packing, attended)
    for row, seen in enumerate(seen_slots(placement)):
        sees = [
            [slot for at, slot in pairs if window is None or at > position - window]
            for position, pairs in zip(placement.positions[row].tolist(), seen, strict=True)
        ]
        expected = textbook_attention(
            query[row], key[row].transpose(0, 1), value[row].transpose(0, 1), sees, softcap=softcap
        )
        is_real = placement.slots[row] < SLOTS - 1
        torch.testing.assert_close(attended[row, is_real], expected[is_real], **FLOAT64)


@pytest.mark.parametrize("window", [None, 5, 100])
@pytest.mark.parametrize("start", [0, 30])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_many_tokens_of_a_row_attend_as_few_do(start, window, kv_heads):
    placement = Board(start + WIDE + 8).chain(start, WIDE + 3)
    query = noise(1, WIDE + 3, HEADS, HEAD_DIM)
    key, value = noise(2, 1, kv_heads, placement.reach, HEAD_DIM, seed=1)
    shared = Pass(placement, None, HEADS // kv_heads, torch.float64)
    attended = shared.attend(query, key, value, window=window)
    sees = [
        [slot for slot in range(at + 1) if window is None or slot > at - window]
        for at in placement.positions[0].tolist()
    ]
    expected = textbook_attention(query[0], key[0].transpose(0, 1), value[0].transpose(0, 1), sees)
    torch.testing.assert_close(attended[0], expected, **FLOAT64)


@pytest.mark.parametrize("softcap", [None, 0.5])
def test_the_scale_that_is_given_is_used(softcap):
    for placement in (Board(SLOTS).chain(0, 5), Board(SLOTS).chain(4, 1), Board(SLOTS).chain(3, 2)):
        count = placement.positions.shape[1]
        query = noise(1, count, HEADS, HEAD_DIM)
        key, value = noise(2, 1, KV_HEADS, placement.reach, HEAD_DIM, seed=1)
        shared = Pass(placement, None, HEADS // KV_HEADS, torch.float64)
        attended = shared.attend(query, key, value, scale=0.9, softcap=softcap)
        sees = [[slot for _, slot in seen] for seen in seen_slots(placement)[0]]
        expected = textbook_attention(
            query[0], key[0].transpose(0, 1), value[0].transpose(0, 1), sees, 0.9, softcap
        )
        torch.testing.assert_close(attended[0], expected, **FLOAT64)


@settings(max_examples=100, deadline=None)
@given(placements)
def test_a_rotary_table_turns_every_token_by_its_position(placement):
    batch, count = placement.positions.shape
    states = noise(batch, count, HEADS, HEAD_DIM)
    table = RotaryTable(*rotary_rows(torch.arange(SLOTS)))
    packing = placement.packing
    turned = Pass(placement, table, 1, torch.float64).rotate(packed(packing, states))
    turned = unpacked(packing, turned)
    for row, positions in enumerate(placement.positions.tolist()):
        expected = textbook_rotation(states[row], positions)
        is_real = placement.slots[row] < SLOTS - 1
        torch.testing.assert_close(turned[row, is_real], expected[is_real], **FLOAT64)


def test_padding_is_left_out_where_there_is_much_of_it():
    board = Board(SLOTS)
    ragged = board.trees([3, 4], [[-1, 0, 1, 2], [-1]], [[3, 4, 5, 6], [4]])
    assert ragged.packing is not None
    assert packed(ragged.packing, ragged.positions).tolist() == [[3, 4, 5, 6, 4]]
    assert unpacked(ragged.packing, torch.ones(1, 5)).tolist() == [[1] * 4, [1, 0, 0, 0]]
    assert board.trees([3, 4], [[-1, 0], [-1, 0]], [[3, 4], [4, 5]]).packing is None
    assert board.spans([3, 4], [1, 2]).packing is not None


@pytest.mark.parametrize("order", [(None, 0.5), (0.5, None)])
def test_capped_and_plain_layers_may_share_a_pass(order):
    """Each has its own mask for a causal block, where plain attention needs none."""
    query, (key, value) = noise(1, 5, HEADS, HEAD_DIM), noise(2, 1, KV_HEADS, 5, HEAD_DIM)
    shared, *own = (
        Pass(Board(SLOTS).chain(0, 5), None, HEADS // KV_HEADS, torch.float64) for _ in range(3)
    )
    for alone, softcap in zip(own, order, strict=True):
        found, expected = (
            each.attend(query, key, value, softcap=softcap) for each in (shared, alone)
        )
        assert torch.equal(found, expected)


def test_a_rotary_table_narrower_than_a_head_leaves_the_rest_of_it():
    states = noise(1, 3, HEADS, HEAD_DIM + 3)
    table = RotaryTable(*rotary_rows(torch.arange(SLOTS)))
    turned = Pass(Board(SLOTS).chain(4, 3), table, 1, torch.float64).rotate(states)
    expected = textbook_rotation(states[0, ..., :HEAD_DIM], [4, 5, 6])
    torch.testing.assert_close(turned[0, ..., :HEAD_DIM], expected, **FLOAT64)
    assert torch.equal(turned[..., HEAD_DIM:], states[..., HEAD_DIM:])


def test_each_kind_of_layer_is_rotated_by_its_own_table():
    states, places = noise(1, 3, HEADS, HEAD_DIM), torch.arange(SLOTS)
    tables = {
        "near": RotaryTable(*rotary_rows(places)),
        "far": RotaryTable(*rotary_rows(9 * places)),
    }
    shared = Pass(Board(SLOTS).chain(4, 3), tables, 1, torch.float64)
    for kind, positions in (("far", [36, 45, 54]), ("near", [4, 5, 6])):
        expected = textbook_rotation(states[0], positions)
        torch.testing.assert_close(shared.rotate(states, kind)[0], expected, **FLOAT64)


def test_without_a_table_nothing_is_rotated():
    states = noise(1, 3, HEADS, HEAD_DIM)
    for rotary in (None, {}):
        assert Pass(Board(SLOTS).chain(4, 3), rotary, 1, torch.float64).rotate(states) is states


def test_learned_positions_are_added_once_before_layer_0_wherever_the_tokens_stand():
    model, learned = TinyModel(), noise(SLOTS, 8, seed=3)
    split = attrs.evolve(model.engine()._split, positions=lambda places: learned[places])
    engine = LayerEngine(split)
    engine.open(1, SLOTS)
    filled = engine.fill(0, [3, 1, 4], taps=[0])
    torch.testing.assert_close(filled.taps[0], model.table[[3, 1, 4]] + learned[:3], **FLOAT64)
    tokens, tree = torch.tensor([[1, 5, 9]]), Board(SLOTS).trees([3], [[-1, 0, 0]], [[3, 4, 5]])
    for skip in ((), (0,)):
        _, taps = engine.run(engine.embed(tokens), tree, 0, 3, skip=skip, taps=[0, 1])
        entered = taps[1] if skip else taps[0]
        expected = model.table[tokens] + learned[[3, 4, 4]]
        torch.testing.assert_close(entered, expected, **FLOAT64)
    hidden = noise(1, 3, 8)
    _, taps = engine.run(hidden, tree, 1, 3, taps=[1])
    assert taps[1] is hidden


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

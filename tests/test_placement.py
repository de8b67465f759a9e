"""Placements: a token sees the prefix and its own ancestors, at base + depth."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specframe import Board
from specframe._engine.attention import visible_in_window
from specframe._engine.placement import BAND_ROWS
from specframe.testing._hypothesis_strategies import parent_lists
from table_drafters import way_up
from table_engine import check_start, seen_slots, visibility

SLOTS = 40
often = settings(max_examples=200, deadline=None)


@st.composite
def placed_trees(draw, max_rows=3):
    """Draw for each row: its base, its tree, and slots after the base with holes between."""
    rows = []
    for _ in range(draw(st.integers(1, max_rows))):
        base, parents = draw(st.integers(1, 12)), draw(parent_lists(8))
        free = list(range(base + 1, SLOTS - 1))
        places = draw(st.permutations(free))[: len(parents) - 1]
        if draw(st.booleans()):
            places = free[: len(parents) - 1]
        rows.append((base, parents, [base, *places]))
    return rows


def trees(rows, first=0):
    bases, parents, slots = map(list, zip(*rows, strict=True))
    return Board(SLOTS).trees(bases, parents, slots, first)


def meaning(placement):
    """Return what each token is: position, slot, and the (position, slot) pairs it sees."""
    check_start(placement)
    return [
        list(zip(positions, slots, seen, strict=True))
        for positions, slots, seen in zip(
            placement.positions.tolist(),
            placement.slots.tolist(),
            seen_slots(placement),
            strict=True,
        )
    ]


def told(base, parents, slots, node):
    """Return the same of one node by definition."""
    way = way_up(parents, node)
    depth = {above: len(way_up(parents, above)) - 1 for above in way}
    prefix = [(slot, slot) for slot in range(base)]
    path = sorted((base + depth[above], slots[above]) for above in way)
    return base + depth[node], slots[node], sorted(prefix + path)


@often
@given(placed_trees(), st.integers(0, 7))
def test_a_node_sees_the_prefix_and_its_ancestors_at_base_plus_depth(rows, first):
    first = min(first, max(len(parents) for _, parents, _ in rows) - 1)
    everything = meaning(trees(rows, first))
    width = max(len(parents) for _, parents, _ in rows) - first
    for (base, parents, slots), tokens in zip(rows, everything, strict=True):
        nodes = range(first, len(parents))
        assert tokens[: len(nodes)] == [told(base, parents, slots, node) for node in nodes]
        padding = [(0, SLOTS - 1, [(0, 0)])]
        assert tokens[len(nodes) :] == padding * (width - len(nodes))


@often
@given(st.integers(1, 12), st.integers(1, 9), st.data())
def test_a_chain_means_the_same_by_every_way_of_placing_it(base, count, data):
    first = data.draw(st.integers(0, count - 1))
    parents, slots = list(range(-1, count - 1)), list(range(base, base + count))
    board = Board(SLOTS)
    expected = [[told(base, parents, slots, node) for node in range(first, count)]]
    chain = board.chain(base + first, count - first)
    assert chain.start == base + first
    assert meaning(chain) == expected
    assert meaning(board.trees([base], [parents], [slots], first)) == expected
    assert meaning(board.spans([base + first], [count - first])) == expected
    # Beside another row, no fast path can be taken.
    both = board.trees([base, base], [parents] * 2, [slots] * 2, first)
    assert both.start is None
    assert meaning(both) == expected * 2


@often
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), min_size=1, max_size=4))
def test_spans_are_consecutive_and_padded_at_the_front(rows):
    starts, counts = map(list, zip(*rows, strict=True))
    everything = meaning(Board(SLOTS).spans(starts, counts))
    for (start, count), tokens in zip(rows, everything, strict=True):
        padding = max(counts) - count
        line = [(at, at) for at in range(start + count)]
        assert tokens[:padding] == [(0, SLOTS - 1, [(0, 0)])] * padding
        assert tokens[padding:] == [(at, at, line[: at + 1]) for at in range(start, start + count)]


@pytest.mark.parametrize("start", [0, 1, 5, 70])
@pytest.mark.parametrize("count", [1, 2, BAND_ROWS, BAND_ROWS + 1, BAND_ROWS + 9])
def test_long_chains_see_everything_up_to_themselves(start, count):
    placement = Board(200).chain(start, count)
    line = torch.arange(start, start + count)
    assert placement.reach == start + count
    assert torch.equal(placement.slots, line[None])
    assert torch.equal(placement.positions, line[None])
    expected = torch.arange(start + count) <= line[:, None]
    assert torch.equal(visibility(placement), expected[None])


@often
@given(placed_trees(), st.integers(1, 20))
def test_a_window_hides_what_lies_too_far_before_a_node(rows, window):
    placement = trees(rows)
    keys = placement.key_positions
    visible = visible_in_window(placement, window)
    visible = visibility(placement) if visible is None else visible
    for place, (base, parents, slots) in enumerate(rows):
        for node in range(len(parents)):
            position, _, seen = told(base, parents, slots, node)
            near = {slot for key, slot in seen if position - window < key}
            assert set(visible[place, node].nonzero()[:, 0].tolist()) == near
            if keys is not None:
                assert all(keys[place, slot] == key for key, slot in seen)


@pytest.mark.parametrize("window", [1, 2, 3, 5, 6, 7])
def test_a_window_over_a_causal_prefill_is_a_band(window):
    placement = Board(SLOTS).chain(0, 6)
    visible = visible_in_window(placement, window)
    line = torch.arange(6)
    band = (line <= line[:, None]) & (line > line[:, None] - window)
    if visible is None:
        assert placement.causal
        assert window >= 6
    else:
        assert torch.equal(visible, band[None])

"""The drafter keeps the rules, remembers what it says it remembers, and forgets on reset."""

from typing import ClassVar

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import specframe
from specframe import Draft, Sampler, Scores, StopPolicy, Stops
from specframe.testing import StrategyConformance, make_rows
from specframe_recycling import RecyclingOptions
from specframe_recycling._drafter import RecyclingDrafter
from specframe_recycling._template import template

VOCAB = 6


class TestConformance(StrategyConformance):
    strategy = "recycling"
    level = "full"


class TestSmallTreesConform(StrategyConformance):
    strategy = "recycling"
    options: ClassVar = {"max_nodes": 4, "width": 2, "steps": 2}


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 9))
def test_every_path_of_the_shape_stands_behind_the_path_above_it(nodes, width):
    paths = template(nodes, width)
    assert len(set(paths)) == len(paths) == nodes
    for place, path in enumerate(paths):
        assert max(path) < width
        assert len(path) == 1 or path[:-1] in paths[:place]


def test_the_likeliest_paths_come_first():
    assert template(7, 8) == [(0,), (0, 0), (1,), (0, 0, 0), (0, 1), (1, 0), (2,)]


def seen(drafter, tokens, parents, favourites, room=4):
    """Show the drafter a draft with each node's favourite followers; return what it drafts next."""
    rows = make_rows([[9, tokens[0]]], Stops(9, 100))
    logits = torch.zeros(1, len(tokens), VOCAB)
    for node, followers in enumerate(favourites):
        for rank, follower in enumerate(followers):
            logits[0, node, follower] = 5 - rank
    drafter.update(rows, Draft.trees([tokens], [parents]), Scores(logits), commit=None)
    rows.active[0].room = room
    return drafter.propose(rows, StopPolicy(), Sampler())


def test_the_followers_of_refused_nodes_are_drafted_too():
    drafter = RecyclingDrafter(RecyclingOptions(width=2))
    draft = seen(drafter, [0, 1, 2], [-1, 0, 0], [[1, 2], [3, 4], [5, 4]], room=2)
    assert draft.token_lists == [[0, 1, 3, 2, 4, 5, 4]]
    assert draft.parent_lists == [[-1, 0, 1, 0, 1, 3, 3]]


def test_of_a_token_that_stands_twice_the_later_node_counts():
    drafter = RecyclingDrafter(RecyclingOptions(width=1))
    assert seen(drafter, [0, 0], [-1, 0], [[3], [4]], room=1).token_lists == [[0, 4]]


def test_each_row_is_remembered_by_its_own_scores():
    drafter = RecyclingDrafter(RecyclingOptions(width=1))
    rows = make_rows([[9, 0], [9, 1]], Stops(9, 100))
    logits = torch.zeros(2, 2, VOCAB)  # the first row has padding at its second node
    logits[0, 0, 2] = logits[0, 1, 5] = logits[1, 0, 3] = logits[1, 1, 4] = 1
    draft = Draft.trees([[0], [1, 3]], [[-1], [-1, 0]])
    drafter.update(rows, draft, Scores(logits), commit=None)
    for row in rows.active:
        row.room = 4
    drafted = drafter.propose(rows, StopPolicy(), Sampler())
    assert drafted.token_lists == [[0, 2], [1, 3, 4]]


def test_a_full_memory_fills_the_tree_to_its_most_nodes():
    drafter = RecyclingDrafter(RecyclingOptions(width=6, max_nodes=20))
    every = list(range(VOCAB))
    draft = seen(drafter, every, [-1, 0, 0, 0, 0, 0], [every] * VOCAB, room=6)
    assert draft.size_list == [20]


def test_after_reset_there_is_nothing_to_draft():
    drafter = RecyclingDrafter(RecyclingOptions())
    assert seen(drafter, [0, 1], [-1, 0], [[1], [2]]).size_list[0] > 1
    drafter.reset()
    rows = make_rows([[9, 0]], Stops(9, 100))
    rows.active[0].room = 4
    assert drafter.propose(rows, StopPolicy(), Sampler()).token_lists == [[0]]


def test_the_second_decode_of_a_text_is_drafted_better_and_says_the_same():
    with specframe.load(strategy=RecyclingDrafter(RecyclingOptions())) as decoder:
        plain = decoder.plain().decode("def read(path):", max_new_tokens=24)
        first, second = (decoder.decode("def read(path):", max_new_tokens=24) for _ in range(2))
    assert first.token_ids == second.token_ids == plain.token_ids
    assert second.metrics.num_spec_steps < first.metrics.num_spec_steps < 23

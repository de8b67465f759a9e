"""Drafts: what a token tree is, what is refused, and the message about a drafter that breaks it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specframe import Draft, Law, PluginError, SequenceDrafter, Stops, check_draft
from specframe._engine.tree_shape import depths_of
from specframe.testing._hypothesis_strategies import parent_lists
from table_drafters import Guess, TreeDrafter, right, way_up
from table_engine import Table, make_rows, run

VOCAB = 6


def one_row(tokens=(0, 1, 2), parents=(-1, 0, 1), size=3, batch=1):
    return Draft(
        torch.tensor([tokens] * batch),
        torch.tensor([parents] * batch),
        torch.tensor([size] * batch),
    )


@settings(max_examples=200, deadline=None)
@given(parent_lists())
def test_depths_and_ancestors_are_the_way_up_to_the_root(parents):
    ways = [way_up(parents, node) for node in range(len(parents))]
    assert depths_of(parents) == [len(way) - 1 for way in ways]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.lists(st.integers(0, 5))), min_size=1, max_size=4))
def test_chains_hold_the_root_and_the_guess_of_every_row(rows):
    roots, guesses = [root for root, _ in rows], [guess for _, guess in rows]
    draft = Draft.chains(roots, guesses)
    check_draft(draft, VOCAB, [len(guess) for guess in guesses])
    assert draft.token_lists == [[root, *guess] for root, guess in rows]
    assert draft.parent_lists == [list(range(-1, len(guess))) for guess in guesses]
    assert draft.size_list == [1 + len(guess) for guess in guesses]


@settings(max_examples=100, deadline=None)
@given(st.lists(parent_lists(), min_size=1, max_size=4))
def test_trees_hold_the_tokens_and_parents_of_every_row(parents):
    tokens = [[node % VOCAB for node in range(len(row))] for row in parents]
    draft = Draft.trees(tokens, parents)
    check_draft(draft, VOCAB, [len(row) for row in parents])
    assert draft.token_lists == tokens
    assert draft.parent_lists == parents
    assert draft.laws == [Law.DETERMINISTIC] * len(parents)


@pytest.mark.parametrize("parents", [[-1], [-1, 0, 0]])
def test_a_tree_with_more_tokens_than_parents_or_fewer_is_refused(parents):
    with pytest.raises(PluginError, match=f"row 1 has 2 tokens and {len(parents)} parents"):
        Draft.trees([[0, 1, 2], [0, 1]], [[-1, 0, 0], parents])


@settings(max_examples=100, deadline=None)
@given(parent_lists(), st.integers(0, 3))
def test_any_tree_is_well_formed_and_no_deeper_than_its_deepest_node(parents, padding):
    width = len(parents)
    tokens = [1] * width + [99] * padding  # padding may hold anything
    draft = one_row(tokens, parents + [77] * padding, width)
    deepest = max(depths_of(parents))
    check_draft(draft, VOCAB, [deepest])
    if deepest:
        with pytest.raises(PluginError, match=f"row 0 has room for {deepest - 1} levels"):
            check_draft(draft, VOCAB, [deepest - 1])


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (one_row(parents=(0, 0, 1)), "row 0, node 0 is the root"),
        (one_row(parents=(-1, 1, 1)), "row 0, node 1 has parent 1"),
        (one_row(parents=(-1, 2, 1)), "row 0, node 1 has parent 2"),
        (one_row(parents=(-1, -1, 1)), "row 0, node 1 has parent -1"),
        (one_row(tokens=(0, 1, VOCAB)), f"node 2 holds token {VOCAB}"),
        (one_row(tokens=(0, -1, 2)), "node 1 holds token -1"),
        (one_row(size=0), "must lie between 1"),
        (one_row(size=4), "must lie between 1"),
        (one_row(batch=2), "holds 2 row"),
        (Draft(torch.zeros(1, 2, dtype=torch.long), torch.tensor([[-1]]), torch.tensor([1])),
         "do not belong together"),
    ],
)  # fmt: skip
def test_a_malformed_draft_is_refused_with_row_and_node(draft, words):
    with pytest.raises(PluginError, match=words):
        check_draft(draft, VOCAB, [9])


class Boundless(TreeDrafter):
    """Draft deeper than there is room."""

    def trees(self, rows):
        for row in rows.active:
            row.room += 1
        planned = super().trees(rows)
        for row in rows.active:
            row.room -= 1
        return planned


def test_a_draft_deeper_than_its_room_is_the_drafters_fault():
    table = Table()
    with pytest.raises(PluginError, match="malformed draft: row 0 has room for 3 levels"):
        run(table, Boundless(table, [right(9)]), make_rows([[1]], Stops(5, 100)))


@pytest.mark.parametrize("prompts", [[[1, 2]], [[1, 2], [3]]])
def test_a_draft_with_more_nodes_than_slots_is_the_drafters_fault(prompts):
    table = Table()
    drafter = TreeDrafter(table, [[Guess(miss=1), *[Guess(above=1, miss=1)] * 20]])
    rows = make_rows(prompts, Stops(3, 100))
    with pytest.raises(PluginError, match="malformed draft: row 0 has slots for 5 nodes"):
        run(table, drafter, rows, extra_nodes=1)


def test_a_draft_for_other_rows_than_those_that_are_left_is_the_drafters_fault():
    class Deaf(TreeDrafter):
        def propose(self, rows, stop, sampler):
            return Draft.chains([0, 0, 0], [[], [], []])

    table = Table()
    rows = make_rows([[1], [2]], Stops(4, 100))
    with pytest.raises(PluginError, match=r"holds 3 row\(s\) and the batch has 2"):
        run(table, Deaf(table, []), rows)


def test_a_sequence_drafter_is_cut_to_its_room_and_not_asked_without():
    table, asked = Table(), []

    class Talker(SequenceDrafter):
        def guess(self, tokens, room):
            asked.append((list(tokens), room))
            return (table.next([*tokens]) for _ in range(100))

    rows = make_rows([[1, 2], [3]], [Stops(4, 100), Stops(2, 100)])
    everyone = list(rows.active)
    run(table, Talker(), rows)
    assert all(1 <= room <= 3 for _, room in asked)
    assert asked[0] == (everyone[0].tokens[:3], 2)
    for row in everyone:
        prompt = row.tokens[: row.prompt_length]
        assert row.new_tokens == table.continuation(row.stops, prompt)[0]


def test_padding_beyond_the_largest_tree_is_not_run():
    table = Table()

    class Padded(SequenceDrafter):
        def guess(self, tokens, room):
            return [table.next([*tokens])][:room]

        def propose(self, rows, stop, sampler):
            draft = super().propose(rows, stop, sampler)
            wider = [
                torch.nn.functional.pad(part, (0, 2)) for part in (draft.tokens, draft.parents)
            ]
            return Draft(*wider, draft.sizes)

    rows = make_rows([[1, 2]], Stops(9, 100))
    (row,) = rows.active
    run(table, Padded(), rows)
    assert row.new_tokens == table.continuation(row.stops, [1, 2])[0]


def test_who_writes_to_a_draft_spoils_his_own():
    spoilt = Draft.chains([1], [[2, 3]])
    with torch.inference_mode():
        spoilt.parents[:, 2] = 0
        spoilt.sizes[:] = 9
    whole = Draft.chains([1], [[2, 3]])
    assert (whole.parent_lists, whole.size_list) == ([[-1, 0, 1]], [3])

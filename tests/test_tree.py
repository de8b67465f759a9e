"""TreeBuilder: how a self-drafter's tree gets its nodes, slots, exit and confidences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specframe import Law, Needs, PluginError, Sampler, Stops, Target, check_draft
from specframe._round.pruning import select_nodes
from specframe.testing._hypothesis_strategies import parent_lists
from table_drafters import way_up
from table_engine import Table, TableEngine, make_rows

often = settings(max_examples=200, deadline=None)


def start(prompts, *, room=9, layers=2, extra_nodes=16, budget=20):
    """Return a target after its prefill, the rows, and the tree of the first round."""
    target = Target(TableEngine(Table(layers=layers)), extra_nodes=extra_nodes)
    rows = make_rows(prompts, Stops(budget, 1000))
    target.prefill(rows, Sampler(), Needs(taps=frozenset({1})))
    for row in rows.active:
        row.room = room
    return target, rows, target.tree(rows)


def grown(tree, target, parents, tokens, layers=1):
    """Add nodes one by one to every row and run layers on them; layers 0 runs none."""
    added = [tree.root]
    for above, token in zip(parents[1:], tokens[1:], strict=True):
        added.append(tree.add(torch.tensor([[token]]), [[above]]))
    for nodes in added if layers else []:
        target.run(nodes, 0, layers)
    return added


@often
@given(parent_lists(), st.data())
def test_a_tree_becomes_the_draft_that_was_added(parents, data):
    tokens = [data.draw(st.integers(0, 5)) for _ in parents]
    target, rows, tree = start([[1, 2]])
    tokens[0] = rows.roots[0]
    grown(tree, target, parents, tokens)
    draft = tree.draft()
    check_draft(draft, 6, [9])
    assert draft.token_lists == [tokens]
    assert draft.parent_lists == [parents]
    assert draft.exit.layer == 1
    base = len(rows.active[0].tokens) - 1
    assert draft.exit.slots.tolist() == [[base + node for node in range(len(parents))]]
    for node in range(len(parents)):
        text = [*rows.active[0].tokens[:-1], *(tokens[up] for up in way_up(parents, node)[::-1])]
        assert draft.exit.hidden[0, node, 0] == Table(layers=2).column(text)[1]
        assert draft.exit.taps[1][0, node, 0] == Table(layers=2).column(text)[1]


@often
@given(parent_lists(), st.lists(st.integers(1, 9), max_size=3))
def test_pruning_drops_nodes_with_all_below_them_and_leaves_holes(parents, dropped):
    target, rows, tree = start([[1, 2]])
    tokens = [rows.roots[0], *(node % 6 for node in range(1, len(parents)))]
    grown(tree, target, parents, tokens)
    for node in dropped:
        tree.prune(0, [node])
    draft = tree.draft()
    kept = [node for node in range(len(parents)) if not {*dropped} & {*way_up(parents, node)}]
    assert draft.token_lists == [[tokens[node] for node in kept]]
    assert draft.parent_lists == [[-1, *(kept.index(parents[node]) for node in kept[1:])]]
    base = len(rows.active[0].tokens) - 1
    assert draft.exit.slots.tolist() == [[base + node for node in kept]]


def test_rows_left_out_are_padded_and_cannot_come_back():
    target, rows, tree = start([[1], [2, 3]])
    target.run(tree.root, 0, 1)
    target.run(tree.add(torch.tensor([[4], [5]]), active=[False, True]), 0, 1)
    draft = tree.draft()
    assert draft.token_lists == [[rows.roots[0]], [rows.roots[1], 5]]
    assert draft.exit.slots.tolist() == [[1, target.slots - 1], [2, 3]]
    with pytest.raises(PluginError, match="row 0 was left out of the tree before"):
        tree.add(torch.tensor([[4], [5]]))


def test_a_level_without_room_is_refused_when_it_is_added():
    _, _, tree = start([[1]], room=2)
    for _ in range(2):
        tree.add(torch.tensor([[3]]))
    with pytest.raises(PluginError, match="row 0 has room for 2 levels"):
        tree.add(torch.tensor([[3]]))


def test_nodes_without_slots_are_refused_when_they_are_added():
    target, rows, tree = start([[1]], extra_nodes=1, budget=3)
    free = target.slots - 1 - len(rows.active[0].tokens)
    tree.add(torch.tensor([[3] * free]), [[0] * free])
    with pytest.raises(PluginError, match=f"and {free + 1} nodes"):
        tree.add(torch.tensor([[3]]), [[0]])


@pytest.mark.parametrize("ran", [0, 1, 2])
def test_there_is_an_exit_only_where_the_same_layers_ran_on_every_node(ran):
    target, _, tree = start([[1]])
    added = [tree.root, tree.add(torch.tensor([[3]]))]
    for nodes in added[:ran]:
        target.run(nodes, 0, 1)
    assert (tree.draft().exit is not None) == (ran == 2)
    target.run(added[0], 0, 2)
    assert tree.draft().exit is None


def test_layers_resume_where_they_ended_and_their_taps_add_up():
    target, _, tree = start([[1]])
    target.run(tree.root, 0, 1)
    target.run(tree.root, 1, 2)
    exit = tree.draft().exit
    assert exit.layer == 2
    assert list(exit.taps) == [1]
    assert target.engine.calls == [(0, 1), (1, 2)]


def test_each_parents_q_is_found_by_its_id():
    _, _, tree = start([[1], [2]])
    tree.add(torch.tensor([[3, 4], [3, 4]]), [[0, 0], [0, 0]], probs=torch.full((2, 1, 6), 0.5))
    q = torch.arange(24.0).view(2, 2, 6)
    tree.add(torch.tensor([[1, 2, 0], [0] * 3]), [[2, 1, 2], []], active=[True, False], probs=q)
    draft = tree.draft(Law.IID)
    assert draft.q(0, 1).tolist() == q[0, 0].tolist()
    assert draft.q(0, 2).tolist() == q[0, 1].tolist()
    assert draft.q(1, 0).tolist() == [0.5] * 6
    assert draft.q(1, 1) is None
    assert draft.q(0, 3) is None


def test_what_was_drawn_is_not_pruned():
    _, _, tree = start([[1]])
    tree.add(torch.tensor([[3, 4]]), [[0, 0]], probs=torch.full((1, 1, 6), 1 / 6))
    tree.prune(0, [1])
    with pytest.raises(PluginError, match="what was drawn at random must stay"):
        tree.draft(Law.IID)
    assert tree.draft().probs is None


@pytest.mark.parametrize("given_for", [0, 1, 2])
def test_confidences_are_shown_where_every_node_has_one(given_for):
    _, _, tree = start([[1], [2]])
    for level in range(2):
        confidence = torch.full((2, 1), 0.5 + level / 4) if level < given_for else None
        tree.add(torch.tensor([[3], [4]]), confidences=confidence)
    confidences = tree.draft().confidences
    assert (confidences is not None) == (given_for == 2)
    if confidences is not None:
        assert confidences.tolist() == [[1.0, 0.5, 0.75]] * 2


def test_selected_nodes_keep_their_confidences_taps_and_order():
    target, rows, tree = start([[1], [2]])
    target.run(tree.root, 0, 1)
    for level in range(3):
        values = torch.tensor([[0.1 * level], [0.2 * level]])
        above = [[0 if level == 1 else level]] * 2
        nodes = tree.add(torch.tensor([[level], [level + 1]]), above, confidences=values)
        target.run(nodes, 0, 1)
    whole = tree.draft()
    part = select_nodes(whole, [[0, 2, 3], [0, 1]])
    assert part.token_lists == [[rows.roots[0], 1, 2], [rows.roots[1], 1]]
    assert part.parent_lists == [[-1, 0, 1], [-1, 0]]
    assert part.size_list == [3, 2]
    torch.testing.assert_close(part.confidences[0], whole.confidences[0, [0, 2, 3]])
    assert torch.equal(part.exit.hidden[1, :2], whole.exit.hidden[1, [0, 1]])
    assert torch.equal(part.exit.slots[0], whole.exit.slots[0, [0, 2, 3]])
    assert torch.equal(part.exit.taps[1][0], whole.exit.taps[1][0, [0, 2, 3]])


def test_a_pruned_node_can_have_no_child():
    _, _, tree = start([[1, 2]])
    tree.add(torch.tensor([[3]]))
    tree.prune(0, [1])
    with pytest.raises(PluginError, match="node 1 was pruned"):
        tree.add(torch.tensor([[4]]))

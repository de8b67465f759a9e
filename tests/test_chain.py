"""grow_chain: who drafts how far, what the drafter is asked, and what the draft then holds."""

import pytest
import torch

from specframe import Needs, Sampler, Sampling, Step, StopPolicy, Stops, Target, grow_chain
from table_engine import Table, TableEngine, make_rows

VOCAB = 6


class Policy(StopPolicy):
    """Stop rows at the levels given: before a token is drafted, or after it."""

    def __init__(self, before=(), after=()):
        self.stops = {"before": before, "after": after}
        self.steps: list[Step] = []

    def before(self, step):
        self.steps.append(step)
        return self._stopped("before", step.level)

    def after(self, step):
        return self._stopped("after", step.level)

    def _stopped(self, when, level):
        rows = self.stops[when]
        return torch.tensor([place == level for place in rows]) if rows else None


def grown(rooms, policy=None, *, most=None, sampling=None, wants_q=False):
    """Grow the chains of the first round; return the draft, the newest nodes, those looked at."""
    target = Target(TableEngine(Table()))
    rows = make_rows([[1 + place] for place in range(len(rooms))], Stops(20, 1000))
    sampler = Sampler(sampling, wants_q=wants_q)
    target.prefill(rows, sampler, Needs())
    for row, room in zip(rows.active, rooms, strict=True):
        row.room = room
    tree, looked = target.tree(rows, most), []

    def look(nodes):
        looked.append(nodes.first)
        logits = torch.zeros(len(rows), VOCAB, dtype=torch.float64)
        logits[:, nodes.first + 2] = 3.0
        return logits, None

    newest = grow_chain(tree, rows, policy or StopPolicy(), sampler, look)
    return tree.draft(), newest.first, looked


def levels(draft):
    return [size - 1 for size in draft.size_list]


def test_a_chain_has_as_many_levels_as_there_is_room():
    draft, newest, looked = grown([3])
    assert draft.token_lists[0][1:] == [2, 3, 4]
    assert draft.parent_lists == [[-1, 0, 1, 2]]
    assert newest == 3
    assert looked == [0, 1, 2]  # nobody asks what follows the last one


def test_each_row_has_its_own_room():
    draft, *_ = grown([1, 3, 0])
    assert levels(draft) == [1, 3, 0]


def test_without_room_nothing_is_looked_at():
    draft, newest, looked = grown([0, 0])
    assert levels(draft) == [0, 0]
    assert (newest, looked) == (0, [])


def test_a_drafter_that_cannot_go_so_far_has_less_room():
    draft, *_ = grown([3, 3, 1], most=[2, 9, 5])
    assert levels(draft) == [2, 3, 1]


def test_a_refused_token_is_not_drafted_and_ends_its_row():
    draft, *_ = grown([4, 4], Policy(before=[2, 9]))
    assert levels(draft) == [1, 4]


def test_a_token_after_which_drafting_ends_stays():
    draft, *_ = grown([4, 4], Policy(after=[2, 1]))
    assert levels(draft) == [2, 1]


def test_a_policy_that_refuses_everything_leaves_the_roots():
    draft, newest, looked = grown([4, 4], Policy(before=[1, 1]))
    assert levels(draft) == [0, 0]
    assert (newest, looked) == (0, [0])


def test_the_policy_sees_levels_and_who_still_drafts():
    policy = Policy(after=[1, 3])
    grown([4, 4], policy)
    assert [step.level for step in policy.steps] == [1, 2, 3]
    both, second = [True, True], [False, True]
    assert [step.active.tolist() for step in policy.steps] == [both, second, second]


@pytest.mark.parametrize("wants_q", [False, True])
def test_confidences_have_no_temperature_and_q_has(wants_q):
    draft, *_ = grown([2], sampling=Sampling(temperature=0.5), wants_q=wants_q)
    logits = torch.tensor([0, 0, 3.0, 0, 0, 0], dtype=torch.float64)
    top = float(logits.softmax(-1).max())
    assert draft.confidences[0].tolist() == pytest.approx([1, top, top])
    q = draft.q(0, 0)
    assert (q is not None) == wants_q
    if wants_q:
        assert q.tolist() == pytest.approx((logits / 0.5).softmax(-1).tolist())

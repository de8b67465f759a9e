"""Exact mode on tables: the shapes it runs, what it commits, and that the output stays the same."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specframe import Board, Placement, Sampler, Sampling, StopPolicy, Stops, Verdict, Verifier
from specframe import rounds as loop
from specframe._engine.model_origin import UNKNOWN
from specframe._exact import exact_engine as exact
from specframe._exact.exact_target import target_on
from specframe._exact.exact_verifier import ExactVerifier, _on_draft, verifier_on
from specframe_verifiers._match import GreedyVerifier
from table_drafters import (
    Growth,
    Guess,
    PlannedLimits,
    SelfDrafter,
    TreeDrafter,
    growths,
    limits,
    longest_match,
    plans,
    prompts,
    right,
    stops,
    tables,
)
from table_engine import Table, TableEngine, make_rows

often = settings(max_examples=100, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def small():
    """Make blocks and cache lengths so small that most drafts fill several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "BLOCK", 3)
        patch.setattr(exact, "SLOTS", 4)
        yield


class Watched(TableEngine):
    """Note the shape of every pass, and what was moved in the cache; twins write the same notes."""

    def __init__(self, table, context=1 << 20, notes=None):
        super().__init__(table, context)
        self.passes, self.moves = notes = notes or ([], [])
        self.notes = notes

    def twin(self):
        return Watched(self.table, self.context, self.notes)

    def run(self, hidden, placement, lo, hi, *, skip=(), taps=()):
        self.passes.append((tuple(hidden.shape[:2]), placement.reach))
        return super().run(hidden, placement, lo, hi, skip=skip, taps=taps)

    def gather(self, sources, starts):
        self.moves += [
            (source, start)
            for source, start in zip(sources, starts, strict=True)
            if source != list(range(start, start + len(source)))
        ]
        super().gather(sources, starts)


def run_exact(  # the loop's parts
    table, drafter, rows, *, stop=None, verifier=None, sampler=None, extra_nodes=16
):
    sampler = sampler or Sampler()
    engine = Watched(table)
    target = target_on(exact.ExactEngine(engine), extra_nodes=extra_nodes, origin=UNKNOWN)
    verifier = verifier_on(target, verifier or GreedyVerifier())
    target.keeps_logits = True
    drafter.prepare(target)
    rounds = list(loop(target, drafter, verifier, stop or StopPolicy(), sampler, rows))
    return rounds, engine


def decode_rows(table, drafter, given_prompts, ends, **settings):
    """Decode in exact mode; compare tokens, accepted counts and logits with the table."""
    rows = make_rows(given_prompts, ends)
    everyone = list(rows.active)
    rounds, engine = run_exact(table, drafter, rows, **settings)
    for row in everyone:
        prompt = row.tokens[: row.prompt_length]
        assert (row.new_tokens, row.finish_reason) == table.continuation(row.stops, prompt)
    for (before, draft, _, commit), round in zip(drafter.seen, rounds[1:], strict=True):
        for place, prefix in enumerate(before):
            seen = round.row(place)
            longest = longest_match(table, prefix, draft, place)
            assert seen.accepted == min(longest, len(seen.committed))
            tokens = seen.committed
            for end in range(len(tokens)):
                expected = table.logits((*prefix, *tokens[:end]))
                assert commit.logits[place, end].tolist() == expected
            choices = seen.target_tokens
            assert [choices[node] for node in [0, *commit.path_lists[place]]][
                : len(tokens)
            ] == tokens
    assert {shape for shape, _ in engine.passes} <= {(1, exact.BLOCK)}
    assert engine.moves == []
    return everyone, rounds, engine


@often
@given(tables, prompts, plans, stops(), limits, st.integers(0, 2))
def test_any_tree_decodes_to_what_the_table_says(table, some, plan, ends, levels, surplus):
    drafter = TreeDrafter(table, plan, surplus=surplus)
    decode_rows(table, drafter, some, ends, stop=PlannedLimits(levels))


@often
@given(tables, prompts, plans, stops(), limits, growths)
def test_a_self_drafter_decodes_to_what_the_table_says(table, some, plan, ends, levels, growth):
    drafter = SelfDrafter(table, plan, growth)
    decode_rows(table, drafter, some, ends, stop=PlannedLimits(levels))


@often
@given(tables, prompts, plans, stops(), growths)
def test_what_is_captured_belongs_to_its_nodes(table, some, plan, ends, growth):
    taps = range(table.layers + 1)
    drafter = SelfDrafter(table, plan, growth, taps=taps)
    decode_rows(table, drafter, some, ends)
    for before, draft, scores, commit in drafter.seen:
        for place, prefix in enumerate(before):
            path = [0, *commit.path_lists[place]]
            tokens = [draft.token_lists[place][node] for node in path[1:]]
            for layer in taps:
                states = scores.captured.taps[layer][place, path, 0].tolist()
                ends_of = range(len(path))
                assert states == [table.column((*prefix, *tokens[:end]))[layer] for end in ends_of]


class Chains:
    """Cut trees where the room ends: beyond it, a plan of a chain would continue in breadth."""

    def trees(self, rows):
        return [
            tuple(part[: row.room + 1] for part in tree)
            for row, tree in zip(rows.active, super().trees(rows), strict=True)
        ]


class ChainDrafter(Chains, TreeDrafter):
    pass


class SelfChainDrafter(Chains, SelfDrafter):
    pass


chain_plans = st.lists(
    st.lists(st.builds(Guess, miss=st.sampled_from([0, 0, 1])), max_size=9), max_size=3
)


@often
@given(prompts, chain_plans, st.integers(1, 14))
def test_chains_read_one_length_and_are_scored_once(some, plan, count):
    table = Table()
    drafter = ChainDrafter(table, plan)
    _, _, engine = decode_rows(table, drafter, some, Stops(count, 1000))
    lengths = {exact.rounded(len(prompt) + count) for prompt in some}
    assert {reach for _, reach in engine.passes} <= lengths
    assert len(engine.passes) == sum(
        -(-max(draft.size_list) // exact.BLOCK) * len(draft.tokens) for _, draft, *_ in drafter.seen
    )


@often
@given(prompts, chain_plans, st.integers(1, 14))
def test_self_drafted_chains_read_one_length(some, plan, count):
    table = Table()
    drafter = SelfChainDrafter(table, plan, Growth())
    _, _, engine = decode_rows(table, drafter, some, Stops(count, 1000))
    lengths = {exact.rounded(len(prompt) + count) for prompt in some}
    assert {reach for _, reach in engine.passes} <= lengths


@pytest.mark.parametrize(("prompt", "count"), [([1], 3), ([1, 2, 3], 9), ([1] * 8, 5)])
@pytest.mark.parametrize("extra_nodes", [0, 30])
@pytest.mark.parametrize("plan", [[], [right(1)], [right(8)]])
@pytest.mark.parametrize("others", [[], [[2] * 11]])
def test_the_length_follows_from_the_request_alone(prompt, count, extra_nodes, plan, others):
    rows = make_rows([prompt, *others], [Stops(count, 1000), *[Stops(3, 1000)] * len(others)])
    _, engine = run_exact(Table(), ChainDrafter(Table(), plan), rows, extra_nodes=extra_nodes)
    lengths = {exact.rounded(len(prompt) + count), *[exact.rounded(11 + 3) for _ in others]}
    assert {reach for _, reach in engine.passes} == lengths
    assert exact.rounded(9) == exact.rounded(12) == 12


def test_nodes_beyond_the_length_leave_the_others_shape_alone():
    """A wide tree at the end of the budget lies beyond the length that chains read."""
    table = Table()
    wide = [Guess(miss=1), *[Guess(above=0 if node else 1, miss=2) for node in range(9)]]
    _, _, engine = decode_rows(
        table, TreeDrafter(table, [wide]), [[1, 2, 3]], Stops(5, 1000), extra_nodes=20
    )
    near, far = sorted({reach for _, reach in engine.passes})
    assert near == 8 < far
    row = exact.RowEngine(None, length=8, slots=12)
    board = Board(12)
    # Node 1 is in slot 5 and node 3, its child, in slot 9; nodes 2 and 4 see near slots alone.
    placement = board.trees([4], [[-1, 0, 0, 1, 2]], [[4, 5, 6, 9, 7]])
    seen = []

    def layers(hidden, placed):
        seen.append((placed.reach, hidden[0, :, 0].tolist(), placed.slots[0].tolist()))
        return hidden, {1: hidden + 1}

    hidden = torch.arange(1.0, 6.0)[None, :, None]
    answer, taps = row.run(hidden, placement, layers)
    assert torch.equal(answer, hidden)
    assert torch.equal(taps[1], hidden + 1)
    assert seen == [
        (8, [1, 2, 3], [4, 5, 6]),
        (8, [5, 0, 0], [7, 11, 11]),
        (12, [4, 0, 0], [9, 11, 11]),
    ]


def test_padding_is_written_where_nothing_looks_and_sees_the_first_slot_alone():
    row = exact.RowEngine(None, length=8, slots=12)
    seen = []
    row.run(
        torch.ones(1, 2, 1), Board(9).chain(5, 2), lambda *args: seen.append(args) or (args[0], {})
    )
    ((hidden, placed),) = seen
    assert hidden[0, :, 0].tolist() == [1, 1, 0]
    assert placed.slots.tolist() == [[5, 6, 11]]
    assert placed.positions.tolist() == [[5, 6, 0]]
    assert placed.visible.shape == (1, 3, 8)
    assert [sight.nonzero()[:, 0].tolist() for sight in placed.visible[0]] == [
        list(range(6)),
        list(range(7)),
        [0],
    ]


@pytest.mark.parametrize("visible", [None, "mask"])
def test_a_placement_sees_in_blocks_what_it_saw_before(visible):
    line = torch.arange(5)[None]
    mask = line[..., None] >= line[:, None] if visible else None
    placement = Placement(line, line, 5, start=0, causal=not visible, visible=mask)
    row, seen = exact.RowEngine(None, length=8, slots=12), []
    row.run(torch.ones(1, 5, 1), placement, lambda *args: seen.append(args[1]) or (args[0], {}))
    sights = [sight.nonzero()[:, 0].tolist() for placed in seen for sight in placed.visible[0]]
    assert sights == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4], [0]]


def test_a_path_after_a_hole_is_scored_again():
    """The first nodes of a pruned tree need not be in the first slots."""
    plan = [Guess(miss=1), Guess(above=1), Guess()]
    drafter = SelfDrafter(Table(), [plan], Growth(prune=(0,)))
    _, rounds, _ = decode_rows(Table(), drafter, [[1, 2]], Stops(10, 1000))
    assert [round.row(0).path for round in rounds[1:]] == [(1, 2)] * 3
    assert all(
        draft.exit.slots[0, 1] == draft.exit.slots[0, 0] + 2 for _, draft, *_ in drafter.seen
    )


class Once(GreedyVerifier):
    """Greedy, but promising a distribution: to be asked once a round."""

    guarantee = "distribution"

    def __init__(self):
        self.asked = 0

    def verify(self, rows, draft, scores, sampler):
        self.asked += 1
        return super().verify(rows, draft, scores, Sampler())


@pytest.mark.parametrize(("temperature", "times"), [(1.0, 1), (0.0, 2)])
def test_a_verifier_that_promises_a_law_is_asked_once_and_its_path_is_scored_again(
    temperature, times
):
    """Its law at temperature 0 is a token, and then it is asked again like any other."""
    table, verifier = Table(), Once()
    plan = [Guess(miss=1), Guess(above=1), Guess()]
    drafter = TreeDrafter(table, [plan])
    rounds, engine = run_exact(
        table,
        drafter,
        make_rows([[1, 2]], Stops(9, 1000)),
        verifier=verifier,
        sampler=Sampler(Sampling(temperature)),
    )
    assert verifier.asked == times * (len(rounds) - 1)
    assert [round.row(0).accepted for round in rounds[1:]] == [2, 2, 1]
    assert len(engine.passes) == 3 * (2 + 1)  # the tree has four nodes, the paths two or three


class Doubting(GreedyVerifier):
    """Accept one token of a chain at most, as if its logits differed from the tree's."""

    def verify(self, rows, draft, scores, sampler):
        verdict = super().verify(rows, draft, scores, sampler)
        if not draft.are_chains:
            return verdict
        paths = [path[:1] for path in verdict.path_lists]
        last = [path[-1] if path else 0 for path in paths]
        following = [int(verdict.choices[place, node]) for place, node in enumerate(last)]
        return Verdict(paths, following, verdict.choices)


def test_what_chain_rows_do_not_confirm_is_not_committed():
    table = Table()
    plan = [Guess(miss=1), Guess(above=1), Guess(), Guess()]  # the path is 2, 3, 4
    rows = make_rows([[1, 2]], Stops(9, 1000))
    row = rows.active[0]
    rounds, _ = run_exact(table, TreeDrafter(table, [plan]), rows, verifier=Doubting())
    assert [round.row(0).accepted for round in rounds[1:]] == [1, 1, 1, 1]
    assert [round.row(0).path for round in rounds[1:]] == [(2,)] * 4
    assert row.new_tokens == table.continuation(Stops(9, 1000), [1, 2])[0]


def test_choices_on_the_path_are_those_of_the_chain():
    tree = Verdict([[2, 3], []], [4, 4], torch.tensor([[5, 6, 7, 8], [5, 6, 7, 8]]))
    chain = Verdict([[1], []], [2, 1], torch.tensor([[1, 2, 3], [1, 2, 3]]))
    told = _on_draft(chain, tree)
    assert told.path_lists == [[2], []]
    assert told.next_token.tolist() == [2, 1]
    assert told.choices.tolist() == [[1, 6, 2, 3], [1, 6, 7, 8]]


def test_the_wrapped_verifier_keeps_its_name_and_needs():
    verifier = ExactVerifier(Once(), None)
    assert isinstance(verifier, Verifier)
    assert verifier.guarantee == "distribution"
    assert verifier.needs_q is False

"""The loop on table targets: the output is plain decoding's for any drafts."""

from collections import Counter

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specframe import Stops
from specframe._results.metrics import measure
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
from table_engine import Table, make_rows, run

often = settings(max_examples=200, deadline=None)


def check_rounds(table, drafter, rows, rounds, engine):
    """Compare a finished decode with the table: tokens, reasons, accepted counts, calls."""
    for row in rows:
        prompt = row.tokens[: row.prompt_length]
        assert (row.new_tokens, row.finish_reason) == table.continuation(row.stops, prompt)
    for (before, draft, _, commit), round in zip(drafter.seen, rounds[1:], strict=True):
        for place, prefix in enumerate(before):
            longest = longest_match(table, prefix, draft, place)
            seen = round.row(place)
            assert 1 <= len(seen.committed) <= longest + 1
            assert seen.accepted == min(longest, len(seen.committed))
            assert seen.finish_reason is not None or len(seen.committed) == longest + 1
            path = commit.path_lists[place]
            assert [draft.token_lists[place][node] for node in path] == seen.committed[: len(path)]
    scored = Counter(engine.calls) - Counter(drafter.runs)
    lowest = [draft.exit.layer if draft.exit else 0 for _, draft, *_ in drafter.seen]
    assert scored == Counter((lo, table.layers) for lo in lowest)


def decode_rows(table, drafter, given_prompts, ends, **settings):
    rows = make_rows(given_prompts, ends)
    everyone = list(rows.active)
    rounds, engine = run(table, drafter, rows, **settings)
    check_rounds(table, drafter, everyone, rounds, engine)
    return everyone, rounds, engine


@often
@given(tables, prompts, plans, stops(), limits, st.integers(0, 2))
def test_any_tree_decodes_to_what_the_table_says(table, some, plan, ends, levels, surplus):
    drafter = TreeDrafter(table, plan, surplus=surplus)
    _, rounds, engine = decode_rows(table, drafter, some, ends, stop=PlannedLimits(levels))
    assert engine.calls == [(0, table.layers)] * (len(rounds) - 1)


@often
@given(tables, prompts, plans, stops(), limits, growths)
def test_a_self_drafter_decodes_to_what_the_table_says(table, some, plan, ends, levels, growth):
    drafter = SelfDrafter(table, plan, growth)
    decode_rows(table, drafter, some, ends, stop=PlannedLimits(levels))


@pytest.mark.slow
@often
@given(tables, prompts, plans, st.lists(stops(), min_size=3, max_size=3), limits, growths)
def test_unequal_rows_end_as_if_each_were_alone(table, some, plan, ends, levels, growth):
    ends = ends[: len(some)]
    growth = attrs.evolve(growth, chunk=1)  # nodes added two at a time are the batch's, not a row's
    together, rounds, _ = decode_rows(
        table, SelfDrafter(table, plan, growth), some, ends, stop=PlannedLimits(levels)
    )
    for row in together:
        alone = make_rows(some, ends)
        alone.active = [alone.active[row.index]]
        ours, _ = run(table, SelfDrafter(table, plan, growth), alone, stop=PlannedLimits(levels))
        theirs = [r.row(r.indices.index(row.index)) for r in rounds if row.index in r.indices]
        assert [(r.committed, r.accepted, r.finish_reason) for r in theirs] == [
            (r.committed, r.accepted, r.finish_reason) for r in (one.row(0) for one in ours)
        ]


@often
@given(tables, prompts, plans, stops(), growths, st.booleans())
def test_what_is_captured_belongs_to_its_nodes(table, some, plan, ends, growth, by_tree):
    taps = range(table.layers + 1)
    drafter = (
        TreeDrafter(table, plan, taps=taps)
        if by_tree
        else SelfDrafter(table, plan, growth, taps=taps)
    )
    decode_rows(table, drafter, some, ends, keeps_logits=True)
    for place, prompt in enumerate(some):
        for layer in taps:
            states = drafter.prompted.taps[layer][place, : len(prompt), 0].tolist()
            assert states == columns(table, [], prompt, layer)
        normed = drafter.prompted.normed[place, : len(prompt), 0]
        assert (-normed - 1).tolist() == columns(table, [], prompt, table.layers)
        assert drafter.prompted.logits[place, 0].tolist() == table.logits(prompt)
    for before, draft, scores, commit in drafter.seen:
        for place, prefix in enumerate(before):
            path = [0, *commit.path_lists[place]]
            tokens = [draft.token_lists[place][node] for node in path[1:]]
            for layer in taps:
                states = scores.captured.taps[layer][place, path, 0].tolist()
                assert states == columns(table, prefix[:-1], [prefix[-1], *tokens], layer)
            states = (-scores.captured.normed[place, path, 0] - 1).tolist()
            assert states == columns(table, prefix[:-1], [prefix[-1], *tokens], table.layers)
            for end in range(len(commit.token_lists[place])):
                expected = table.logits((*prefix, *tokens[:end]))
                assert commit.logits[place, end].tolist() == expected


def columns(table, prefix, tokens, layer):
    """Return the states of ``tokens`` after ``layer`` layers, with ``prefix`` before them."""
    ends = range(1, len(tokens) + 1)
    return [table.column((*prefix, *tokens[:end]))[layer] for end in ends]


@pytest.mark.parametrize("count", range(6))
@pytest.mark.parametrize("drafts", [TreeDrafter, SelfDrafter])
def test_every_accept_count_is_reached(drafts, count):
    table = Table()
    plan = [[*right(count), Guess(miss=1), *right(5 - count)]]
    drafter = drafts(table, plan, *([Growth()] if drafts is SelfDrafter else []))
    _, rounds, _ = decode_rows(table, drafter, [[1, 2]], Stops(40, 1000))
    accepted = [round.row(0).accepted for round in rounds[1:]]
    assert accepted[:5] == [count] * 5


@pytest.mark.parametrize("offset", range(1, 12))
@pytest.mark.parametrize("levels", [1, 3, 5, 10])
@pytest.mark.parametrize("by", ["budget", "context", "eos", "criteria", "string"])
def test_a_row_ends_at_any_offset_inside_an_accepted_path(by, levels, offset):
    table = Table(salt=2)
    prompt = [1, 2, 3]
    spoken = table.continuation(Stops(offset, 1000), prompt)[0]
    ends = {
        "budget": Stops(offset, 1000),
        "context": Stops(1000, len(prompt) + offset),
        "eos": Stops(20, 1000, eos=frozenset({spoken[-1]})),
        "criteria": Stops(20, 1000, criteria=(lambda tokens: len(tokens) == 3 + offset,)),
        "string": Stops(20, 1000, strings=(text(spoken),), decode=text),
    }[by]
    drafter = TreeDrafter(table, [right(levels)])
    (row,), rounds, engine = decode_rows(table, drafter, [prompt], ends)
    if by != "eos":
        assert len(row.new_tokens) == offset
    seen = [round.row(0) for round in rounds[1:]]
    # The budget is used to the full, and no round drafts beyond it.
    assert all(len(round.committed) == levels + 1 for round in seen[:-1])
    assert len(engine.calls) == len(rounds) - 1 == -(-(len(row.new_tokens) - 1) // (levels + 1))


def text(tokens):
    """Return one letter a token."""
    return "".join(chr(ord("a") + token) for token in tokens)


def test_a_drafted_end_token_does_not_end_drafting():
    table = Table()
    prompt = [4, 4]
    spoken = table.continuation(Stops(9, 1000), prompt)[0]
    last = next(token for token in range(6) if token not in spoken[:2])
    drafter = TreeDrafter(table, [[Guess(), Guess(miss=(last - spoken[2]) % 6), *right(3)]])
    rows = make_rows([prompt], Stops(9, 1000, eos=frozenset({last})))
    rounds, _ = run(table, drafter, rows)
    assert rounds[1].row(0).draft_tokens[1] == last
    assert len(rounds[1].row(0).draft_tokens) == 5


@pytest.mark.slow
@often
@given(tables, prompts, plans, stops(), growths)
def test_the_metrics_add_up(table, some, plan, ends, growth):
    everyone, rounds, _ = decode_rows(table, SelfDrafter(table, plan, growth), some, ends)
    for row in everyone:
        mine = [r.row(r.indices.index(row.index)) for r in rounds if row.index in r.indices]
        numbers = measure(row.prompt_length, len(row.new_tokens), mine[1:], mine[0].seconds)
        lengths = [len(round.committed) for round in mine[1:]]
        assert sum(numbers.acceptance_histogram) == numbers.num_spec_steps == len(lengths)
        assert numbers.num_accepted_draft_tokens <= numbers.num_draft_tokens
        assert numbers.num_new_tokens == 1 + sum(lengths)
        weighted = sum(k * count for k, count in enumerate(numbers.acceptance_histogram))
        assert weighted == numbers.num_accepted_draft_tokens
        assert sum(level["accepted"] for level in numbers.acceptance_by_position) == weighted
        assert all(
            level["accepted"] <= level["reached"] for level in numbers.acceptance_by_position
        )
        if lengths:
            assert numbers.mean_acceptance_length == sum(lengths) / len(lengths)

"""Sampling on table targets: the text is that of plain sampling for any drafts."""

from collections import Counter

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specframe import InputError, Row, Rows, Sampler, Sampling, Stops
from specframe._sampling.sampler import ROOTS
from specframe._sampling.warping import processors_of
from specframe_verifiers._rejection import RejectionVerifier
from table_drafters import (
    Guess,
    PlannedLimits,
    growths,
    limits,
    longest_match,
    plans,
    prompts,
    right,
    stops,
    tables,
)
from table_engine import Table
from table_voices import (
    Guesser,
    Voice,
    VoicedSelf,
    VoicedTrees,
    as_processor,
    longer_is_bolder,
    make_seeded,
    penalty,
    sample,
    sampling_of,
    sum_bans,
    voices_of,
)

often = settings(max_examples=200, deadline=None)
temperatures = st.sampled_from([0.3, 0.8, 1.0, 2.5])
rules = st.lists(st.sampled_from([penalty, sum_bans, longer_is_bolder]), max_size=3, unique=True)
seeds = st.lists(st.integers(0, 5) | st.integers(0, 2**64 - 1), min_size=3, max_size=3)


def check_sampled(table, drafter, given_prompts, ends, given_seeds, temperature, some=(), **run):
    """Decode; compare tokens, reasons and accepted counts with the definition."""
    rows = make_seeded(given_prompts, ends, given_seeds)
    everyone, sampling = list(rows.active), sampling_of(temperature, some)
    drafter.voices = voices_of(table, rows, sampling, some)
    rounds = sample(table, drafter, rows, sampling, **run)
    for row, voice in zip(everyone, drafter.voices, strict=True):
        prompt = row.tokens[: row.prompt_length]
        assert (row.new_tokens, row.finish_reason) == voice.continuation(row.stops, prompt)
    for (before, draft, *_), round in zip(drafter.seen, rounds[1:], strict=True):
        for place, (index, prefix) in enumerate(before):
            voice, seen = drafter.voices[index], round.row(place)
            longest = longest_match(voice, prefix, draft, place)
            assert seen.accepted == min(longest, len(seen.committed))
            assert seen.finish_reason is not None or len(seen.committed) == longest + 1
            for node, choice in enumerate(seen.target_tokens):
                assert choice == voice.next((*prefix, *draft.path_tokens(place, node)))
    return everyone, rounds


@often
@given(tables, prompts, plans, stops(), limits, seeds, temperatures, rules)
def test_any_tree_samples_what_the_definition_says(
    table, some, plan, ends, levels, numbers, temperature, applied
):
    drafter = VoicedTrees(table, plan)
    check_sampled(
        table, drafter, some, ends, numbers, temperature, applied, stop=PlannedLimits(levels)
    )


@pytest.mark.slow
@often
@given(tables, prompts, plans, st.lists(stops(), min_size=3, max_size=3), limits, seeds,
       temperatures, growths)  # fmt: skip
def test_a_self_drafter_samples_what_the_definition_says(
    table, some, plan, ends, levels, numbers, temperature, growth
):
    drafter = VoicedSelf(table, plan, growth)
    check_sampled(
        table, drafter, some, ends[: len(some)], numbers, temperature, stop=PlannedLimits(levels)
    )


@often
@given(tables, prompts, plans, stops(), rules)
def test_processors_act_on_greedy_decoding_too(table, some, plan, ends, applied):
    check_sampled(table, VoicedTrees(table, plan), some, ends, [0, 1, 2], 0.0, applied)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("offset", range(1, 12))
@pytest.mark.parametrize("by", ["budget", "context", "eos", "criteria", "string"])
def test_a_sampled_row_ends_at_any_offset_inside_an_accepted_path(by, offset, temperature):
    table, prompt, seed = Table(salt=2), [1, 2, 3], 9
    voice = Voice(table, seed, len(prompt), temperature, (penalty,))
    spoken = voice.continuation(Stops(offset, 1000), prompt)[0]
    ends = {
        "budget": Stops(offset, 1000),
        "context": Stops(1000, len(prompt) + offset),
        "eos": Stops(20, 1000, eos=frozenset({spoken[-1]})),
        "criteria": Stops(20, 1000, criteria=(lambda tokens: len(tokens) == 3 + offset,)),
        "string": Stops(20, 1000, strings=(text(spoken),), decode=text),
    }[by]
    drafter = VoicedTrees(table, [right(5)])
    (row,), rounds = check_sampled(table, drafter, [prompt], ends, [seed], temperature, [penalty])
    if by != "eos":
        assert len(row.new_tokens) == offset
    seen = [round.row(0) for round in rounds[1:]]
    assert all(len(round.committed) == 6 for round in seen[:-1])


def text(tokens):
    """Return one letter a token."""
    return "".join(chr(ord("a") + token) for token in tokens)


@often
@given(tables, prompts, plans, stops(), temperatures | st.just(0.0))
def test_a_processor_sees_the_hypothetical_prefix_of_each_node(
    table, some, plan, ends, temperature
):
    asked = []

    def remember(ids, scores):
        asked.append((ids[0].tolist(), scores[0].tolist()))
        return scores

    rows = make_seeded(some, ends, [3, 4, 5])
    drafter = VoicedTrees(table, plan)
    sampling = Sampling(temperature, processors=(remember,))
    drafter.voices = voices_of(table, rows, sampling)
    sample(table, drafter, rows, sampling)
    expected = [list(prompt) for prompt in some]
    for before, draft, *_ in drafter.seen:
        for place, (_, prefix) in enumerate(before):
            expected += [
                [*prefix, *below(draft.token_lists[place], draft.parent_lists[place], node)]
                for node in range(draft.size_list[place])
            ]
    assert [prefix for prefix, _ in asked] == expected
    assert all(scores == table.logits(prefix) for prefix, scores in asked)


def below(tokens, parents, node):
    """Return the tokens on the way from the root to a node, the root's left out."""
    return [] if node == 0 else [*below(tokens, parents, parents[node]), tokens[node]]


def test_a_processor_may_write_into_what_it_is_given():
    """The scores are a copy for each node: siblings of one parent must not see each other's."""
    table, ends = Table(), Stops(12, 1000)

    def careless(ids, scores):
        scores += ids.sum() % 5
        scores[:, int(ids[0, -1])] = -9
        ids.zero_()
        return scores

    texts = []
    for plan in ([], [right(3)], [[Guess(), Guess(above=1, miss=1), Guess(), Guess(above=2)]]):
        rows = make_seeded([[1, 2]], ends, [4])
        (row,), drafter = rows.active, VoicedTrees(table, plan)
        drafter.voices = [Voice(table, 4, 2, 0.9)]
        sample(table, drafter, rows, Sampling(0.9, processors=(careless,)))
        texts.append(row.new_tokens)
    assert texts[0] == texts[1] == texts[2]


@often
@given(tables, prompts, stops(), seeds, temperatures, rules, st.booleans())
def test_a_drafter_that_knows_the_logits_is_always_right(
    table, some, ends, numbers, temperature, applied, by_rank
):
    """It draws with the noise of the position, as the target will: every token is accepted."""
    rows = make_seeded(some, ends, numbers)
    drafter = Guesser(table.logits, by_rank=by_rank)
    for round in sample(table, drafter, rows, sampling_of(temperature, applied))[1:]:
        for place in range(len(round.indices)):
            seen = round.row(place)
            drafted = len(seen.draft_tokens)
            assert seen.accepted == min(drafted, len(seen.committed))
            assert seen.finish_reason is not None or len(seen.committed) == drafted + 1
    assert all(q is None for *_, q in drafter.drawn)


def test_a_rows_text_depends_on_its_own_seed_and_prompt_alone():
    table, ends = Table(), Stops(10, 1000)
    said = []
    for batch in ([(1, 7)], [(2, 7), (1, 7), (1, 8), (1, 7)], [(1, 8), (3, 1), (1, 7)]):
        rows = make_seeded([[token, 2] for token, _ in batch], ends, [seed for _, seed in batch])
        everyone = list(rows.active)
        sample(table, Guesser(table.logits, 3), rows, Sampling(1.0))
        said += [(row.tokens[0], row.seed, tuple(row.new_tokens)) for row in everyone]
    assert len(set(said)) == len({(token, seed) for token, seed, _ in said}) == 4
    assert len({tokens for *_, tokens in said}) > 2


def test_other_temperatures_and_seeds_say_something_else():
    table, said = Table(), set()
    for seed in (0, 1, 2, 2**64 - 1):
        for temperature in (0.4, 1.0, 3.0):
            rows = make_seeded([[1, 2]], Stops(12, 1000), [seed])
            (row,) = rows.active
            sample(table, Guesser(table.logits, 2), rows, Sampling(temperature))
            said.add(tuple(row.new_tokens))
    assert len(said) > 9


@attrs.define
class KeyLog:
    """Note the key of every number that is drawn, and draw it."""

    draw: object
    keys: list = attrs.Factory(list)

    def __call__(self, key, *count):
        self.keys.append(key)
        return self.draw(key, *count)


@pytest.fixture
def drawn(monkeypatch):
    """Return the keys of all noise that a sampler draws."""
    from specframe._sampling import sampler as _sampler

    log = []
    for name in ("gumbels", "uniforms"):
        monkeypatch.setattr(_sampler, name, KeyLog(getattr(_sampler, name), log))
    return log


def test_rejection_draws_no_number_twice(drawn):
    table = Table()
    rows = make_seeded([[1], [2, 3], [4]], Stops(40, 1000), [5, 6, 2**63])
    drafter = Guesser(lambda prefix: table.logits(prefix[:-1] or prefix), 3)
    sample(table, drafter, rows, Sampling(1.0), verifier=RejectionVerifier())
    purposes = Counter(key.purpose.name for key in drawn)
    assert set(purposes) == {"COUPLE", "DRAFT", "ACCEPT", "RESIDUAL"}
    assert purposes["COUPLE"] == 3, "the prefill's token alone"
    assert min(purposes["DRAFT"], purposes["ACCEPT"], purposes["RESIDUAL"]) > 20
    assert max(Counter(drawn).values()) == 1


def test_rejection_flips_a_separate_coin_for_each_sibling(drawn):
    table = Table()
    rows = make_seeded([[1], [2, 3]], Stops(30, 1000), [5, 6])
    wide = [[Guess(miss=1), Guess(above=1, miss=2), Guess(above=2, miss=3), Guess()]]
    drafter = VoicedTrees(table, wide)
    drafter.voices = voices_of(table, rows, Sampling(1.0))
    sample(table, drafter, rows, Sampling(1.0), verifier=RejectionVerifier())
    assert {key.draw for key in drawn if key.purpose.name == "ACCEPT"} >= {0, 1, 2}
    assert max(Counter(drawn).values()) == 1


def test_match_draws_nothing_but_the_noise_of_positions(drawn):
    table = Table()
    rows = make_seeded([[1], [2, 3]], [Stops(20, 1000), Stops(9, 1000)], [5, 6])
    sample(table, Guesser(table.logits, 3), rows, Sampling(1.0))
    assert {key.purpose.name for key in drawn} == {"COUPLE"}
    assert {(key.node, key.draw) for key in drawn} == {(0, 0)}
    assert {key.index for key in drawn if key.seed == 5} >= set(range(20))


@often
@given(tables, prompts, stops(), seeds, temperatures, rules)
def test_q_is_the_distribution_that_was_drawn_from(
    table, some, ends, numbers, temperature, applied
):
    """Under rejection the guess is a draw from the warped logits of the hypothetical prefix."""
    rows = make_seeded(some, ends, numbers)
    drafter = Guesser(table.logits, 2)
    voice = Voice(table, 0, 0, temperature, tuple(applied))
    sampling = sampling_of(temperature, applied)
    sample(table, drafter, rows, sampling, verifier=RejectionVerifier())
    for prefixes, active, tokens, q in drafter.drawn:
        for place, prefix in enumerate(prefixes):
            if active[place]:
                expected = torch.tensor(voice.shaped(prefix)).double().softmax(dim=-1)
                assert torch.allclose(q[place], expected, atol=1e-12)
                assert float(q[place, tokens[place]]) > 0


class Watermark:
    """A processor of our own that is not among the stateful ones."""

    def __call__(self, ids, scores):
        return scores


def test_processors_come_alone_in_a_list_or_not_at_all():
    one, other = Watermark(), as_processor(penalty)
    assert processors_of(None) == ()
    assert processors_of(one) == (one,)
    assert processors_of([one, other]) == (one, other)
    assert processors_of([one, [other]]) == (one, other)
    with pytest.raises(InputError, match="takes functions of"):
        processors_of([one, 5])


def test_processors_of_one_row_change_that_row_alone_for_target_and_drafters():
    def favour_two(_, scores):
        return scores + torch.tensor([0.0, 0.0, 9.0])

    rows = Rows(
        [
            Row(0, 1, [1], Stops(9, 99)),
            Row(1, 1, [1], Stops(9, 99), processors=(favour_two,)),
        ]
    )
    logits = torch.tensor([[3.0, 1.0, 0.0], [3.0, 1.0, 0.0]])
    for sampling in (Sampling(), Sampling(temperature=0.01)):
        sampler = Sampler(sampling)
        assert sampler.first(rows, logits).tolist() == [0, 2]
        assert sampler.draft(rows, ROOTS, 0, logits)[0].tolist() == [0, 2]

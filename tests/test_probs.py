"""p and q of a round's tokens: true by definition, and without influence on the tokens."""

import itertools
import math
from types import SimpleNamespace

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import specframe
from specframe import Drafter, Law, Sampler, Sampling, StopPolicy, Stops, Target
from specframe import rounds as loop
from specframe._loop.measured_probs import measured_rounds
from specframe._round import clock
from specframe_verifiers import TypicalOptions
from specframe_verifiers._match import GreedyVerifier, MatchVerifier
from specframe_verifiers._rejection import RejectionVerifier
from specframe_verifiers._typical import TypicalVerifier
from table_drafters import Guess, guesses, prompts, stops, tables
from table_engine import Table, TableEngine
from table_voices import (
    Guesser,
    VoicedTrees,
    longer_is_bolder,
    make_seeded,
    penalty,
    sampling_of,
    voices_of,
)

VERIFIERS = {
    "greedy": GreedyVerifier,
    "match": MatchVerifier,
    "rejection": RejectionVerifier,
    "typical": lambda: TypicalVerifier(TypicalOptions()),
}
temperatures = st.sampled_from([0.0, 0.7, 1.3])
rule_sets = st.sampled_from([(), (penalty,), (longer_is_bolder, penalty)])
plans = st.lists(st.lists(guesses, max_size=7), max_size=3)


def run(way, table, drafter, rows, sampling, verifier):
    """Decode ``rows`` in one of the two ways; return the rounds."""
    target = Target(TableEngine(table), extra_nodes=16)
    drafter.prepare(target)
    sampler = Sampler(sampling, wants_q=verifier.needs_q)
    return list(way(target, drafter, verifier, StopPolicy(), sampler, rows))


def softmax(scores):
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    return [weight / sum(weights) for weight in weights]


def seen_by(rounds, index):
    """Return the rounds of the row at ``index`` in the caller's list, as it sees them."""
    return [round.row(round.indices.index(index)) for round in rounds if index in round.indices]


def prefixes(before, round):
    """Return the prefix of each drafted token of a round, by definition."""
    tokens, paths = round.draft_tokens, []
    for token, parent in zip(tokens, round.draft_parents, strict=True):
        above = before if parent < 0 else paths[parent]
        paths.append([*above, token])
    return [path[:-1] for path in paths]


@settings(max_examples=80, deadline=None)
@given(tables, prompts, stops(), plans, temperatures, rule_sets, st.sampled_from(sorted(VERIFIERS)))
def test_measuring_changes_no_round(table, given_prompts, limits, planned, heat, rules, name):
    sampling = sampling_of(0.0 if name == "greedy" else heat, rules)
    found = []
    for way in (loop, measured_rounds):
        rows = make_seeded(given_prompts, limits, range(9))
        drafter = VoicedTrees(table, planned)
        drafter.voices = voices_of(table, rows, sampling, rules)
        rounds = run(way, table, drafter, rows, sampling, VERIFIERS[name]())
        found.append([seen_by(rounds, index) for index in range(len(given_prompts))])
    plain, measured = found
    bare = {"seconds": {}, "draft_p": None, "draft_q": None, "committed_p": None}
    assert [[attrs.evolve(each, **bare) for each in row] for row in measured] == [
        [attrs.evolve(each, seconds={}) for each in row] for row in plain
    ]


@settings(max_examples=80, deadline=None)
@given(tables, prompts, stops(), plans, temperatures, rule_sets)
def test_p_is_what_the_target_chooses_by(table, given_prompts, limits, planned, heat, rules):
    """Read off the table, at the prefix that leads to each token."""
    sampling = sampling_of(heat, rules)
    rows = make_seeded(given_prompts, limits, range(9))
    voices = voices_of(table, rows, sampling, rules)
    drafter = VoicedTrees(table, planned)
    drafter.voices = voices
    verifier = MatchVerifier() if heat else GreedyVerifier()
    rounds = run(measured_rounds, table, drafter, rows, sampling, verifier)
    for index, prompt in enumerate(given_prompts):
        tokens = list(prompt)
        for round in seen_by(rounds, index):
            for before, token, p in zip(
                prefixes(tokens, round), round.draft_tokens, round.draft_p, strict=True
            ):
                assert p == pytest.approx(softmax(voices[index].shaped(before))[token], abs=1e-6)
            for token, p in zip(round.committed, round.committed_p, strict=True):
                assert p == pytest.approx(softmax(voices[index].shaped(tokens))[token], abs=1e-6)
                tokens.append(token)
            assert round.draft_q == [None] * len(round.draft_tokens)


def own_logits(tokens):
    return [math.sin(7.0 * token + sum(tokens) + len(tokens)) for token in range(6)]


@settings(max_examples=60, deadline=None)
@given(prompts, temperatures, rule_sets, st.sampled_from(["match", "rejection"]), st.booleans())
def test_q_is_what_the_drafter_chooses_by(given_prompts, heat, rules, name, by_rank):
    """Whether the verifier needs it or not, whether it was drawn or ranked."""
    sampling = sampling_of(heat, rules)
    rows = make_seeded(given_prompts, Stops(9, 999), range(9))
    is_ranked = by_rank and name == "match"
    drafter = Guesser(own_logits, by_rank=is_ranked)
    rounds = run(measured_rounds, Table(), drafter, rows, sampling, VERIFIERS[name]())
    for index, prompt in enumerate(given_prompts):
        tokens = list(prompt)
        for round in seen_by(rounds, index):
            for before, token, q in zip(
                prefixes(tokens, round), round.draft_tokens, round.draft_q, strict=True
            ):
                scores = own_logits(before)
                for rule in rules:
                    scores = rule(before, scores)
                shaped = [score / (heat or 1) for score in scores]
                assert q == pytest.approx(softmax(shaped)[token], abs=1e-6)
            tokens += round.committed


class Pruner(Drafter):
    """Draft the two likeliest tokens, two below each, and prune the first of all."""

    def start(self, target, rows, captured):
        self.target = target

    def propose(self, rows, stop, sampler):
        tree = self.target.tree(rows)
        if max(rows.rooms) < 2:
            return tree.draft()
        self._level(tree, rows, sampler, [0])
        self._level(tree, rows, sampler, [1, 2])
        tree.prune(0, [1])
        return tree.draft()

    def _level(self, tree, rows, sampler, nodes):
        (row,) = rows.active
        prefixes = [[*row.tokens, *tree.path_tokens(0, node)] for node in nodes]
        logits = torch.tensor([[own_logits(prefix) for prefix in prefixes]])
        ranked = sampler.ranked(rows, tree, [nodes], logits)
        tokens = ranked.topk(2, dim=-1).indices.flatten(1)
        tree.add(tokens, [[node for node in nodes for _ in range(2)]])


def test_q_survives_the_renumbering_of_a_pruned_tree():
    rows = make_seeded([[1, 2]], Stops(6, 999), [0])
    rounds = run(measured_rounds, Table(), Pruner(), rows, Sampling(), GreedyVerifier())
    tokens, checked = [1, 2], 0
    for round in seen_by(rounds, 0):
        before = prefixes(tokens, round)
        for prefix, token, q in zip(before, round.draft_tokens, round.draft_q, strict=True):
            assert q == pytest.approx(softmax(own_logits(prefix))[token], abs=1e-6)
            checked += 1
        tokens += round.committed
    assert checked >= 3


def test_what_measuring_takes_is_booked_nowhere(monkeypatch):
    """Time passes in a processor alone, which is asked once to choose and once to measure."""
    now = itertools.count()
    passed = [0]

    def slow(_, scores):
        passed[0] = next(now) + 1
        return scores

    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=lambda: passed[0]))
    sampling = sampling_of(0.0, [slow])
    rows = make_seeded([[1, 2]], Stops(12, 999), [0])
    drafter = VoicedTrees(Table(), [[Guess(), Guess(), Guess(miss=1)]])
    drafter.voices = voices_of(Table(), rows, sampling)
    prefill, *rounds = run(measured_rounds, Table(), drafter, rows, sampling, GreedyVerifier())
    assert sum(prefill.seconds.values()) == 1
    assert passed[0] == 2 + 2 * sum(len(round.draft.token_lists[0]) for round in rounds)
    for round in rounds:
        assert sum(round.seconds.values()) == len(round.draft.token_lists[0])


@pytest.mark.models
@pytest.mark.parametrize("exact", [False, True])
def test_a_decoder_gives_probabilities_to_those_who_ask(tiny, exact):
    model = tiny.model()
    decoder = specframe.load(
        model, strategy="early-exit", options={"exit_layer": 2, "threshold": 0.0}, exact=exact
    )
    asked = [[1, 2, 3], [4, 5, 6, 7, 8]]
    plain = decoder.decode(asked, max_new_tokens=[12, 20], seed=3)
    measured = decoder.decode(asked, max_new_tokens=[12, 20], seed=3, output_probs=True)
    assert [each.token_ids for each in measured] == [each.token_ids for each in plain]
    for result in measured:
        for round in result.rounds:
            assert len(round.committed_p) == len(round.committed)
            assert all(0 < p <= 1 for p in round.committed_p)
            # The early exit guesses what it thinks likeliest.
            assert round.draft_q == pytest.approx(round.draft_confidences, abs=1e-5)
    assert all(each.committed_p is None for result in plain for each in result.rounds)


@pytest.mark.models
def test_the_graph_runner_gives_the_same_probabilities(tiny, monkeypatch):
    """Its buffers are written again before the verdict: what was noted must be a copy."""
    found = []
    for runner in ("eager", "graph"):
        monkeypatch.setenv("SPECFRAME_RUNNER", runner)
        decoder = specframe.load(
            tiny.model(), strategy="early-exit", options={"exit_layer": 2, "threshold": 0.0}
        )
        rounds = decoder.decode([1, 2, 3], max_new_tokens=16, output_probs=True).rounds
        found.append([p for each in rounds for p in (*each.draft_q, *each.draft_p)])
    assert found[1] == pytest.approx(found[0], abs=1e-5)


def test_a_drawn_draft_has_the_q_that_the_verifier_was_given():
    rows = make_seeded([[1, 2]], Stops(8, 999), [5])
    drafter = Guesser(own_logits)
    rounds = run(measured_rounds, Table(), drafter, rows, Sampling(0.9), RejectionVerifier())
    for round in rounds[1:]:
        if round.draft.law is Law.IID and len(round.draft.token_lists[0]) > 1:
            seen = round.row(0)
            q = round.draft.q(0, 0)
            assert seen.draft_q[0] == pytest.approx(float(q[seen.draft_tokens[0]]))

"""Stop policies that learn: each against its rule written out, on rows made by hand and decoded."""

import itertools
import math
import statistics
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import specframe
from specframe import Capabilities, Draft, Drafter, Step, Stops
from specframe._plugins.discovery import load_registry
from specframe.testing import check_strategy
from specframe_stops import (
    AdaedlOptions,
    AdaptiveConfidenceOptions,
    CostAwareOptions,
    HeuristicOptions,
    SvipOptions,
)
from specframe_stops._adaptive import AdaedlPolicy, AdaptiveConfidencePolicy, HeuristicPolicy
from specframe_stops._cost_aware import EXPLORED, PROBE, CostAwarePolicy
from specframe_stops._estimates import EDGES, PRIORS, Chances, Costs, weighted_median
from specframe_stops._memoryless import SvipPolicy
from table_drafters import prompts, stops, tables
from table_engine import Table, make_rows, run

often = settings(max_examples=150, deadline=None)
few = settings(max_examples=40, deadline=None)
LEARNED = ["heuristic", "svip", "adaptive-confidence", "adaedl", "cost-aware"]
MAKERS = {
    "heuristic": lambda: HeuristicPolicy(HeuristicOptions(start=2)),
    "svip": lambda: SvipPolicy(SvipOptions(bound=0.45)),
    "adaptive-confidence": lambda: AdaptiveConfidencePolicy(AdaptiveConfidenceOptions()),
    "adaedl": lambda: AdaedlPolicy(AdaedlOptions()),
    "cost-aware": lambda: CostAwarePolicy(CostAwareOptions(steps=5)),
}
# One row's rounds: (drafted, accepted of them, room)
outcome = st.integers(0, 6).flatmap(
    lambda drafted: st.tuples(st.just(drafted), st.integers(0, drafted), st.integers(drafted, 8))
)
histories = st.lists(outcome, max_size=12)


def rows_of(count):
    return make_rows([[1]] * count, Stops(99, 999))


def see(policy, rows, rounds, seconds=0.01, finished=()):
    """Show a policy one round in which each row drafted a chain and had part of it accepted."""
    for row, (_, _, room) in zip(rows.active, rounds, strict=True):
        row.room = room
        row.finish_reason = "eos" if row.index in finished else None
    draft = Draft.chains([1] * len(rounds), [[1] * drafted for drafted, *_ in rounds])
    commit = SimpleNamespace(
        path_lists=[list(range(1, accepted + 1)) for _, accepted, _ in rounds],
        token_lists=[[1] * (accepted + 1) for _, accepted, _ in rounds],
    )
    reasons = [row.finish_reason for row in rows.active]
    policy.observe(
        rows,
        SimpleNamespace(
            draft=draft, commit=commit, finish_reasons=reasons, seconds={"draft": seconds}
        ),
    )


def step_of(confidences, level=1, scores=None):
    """Return a step whose rows have the given top-1 probabilities, over three tokens."""
    probs = torch.tensor([[c, (1 - c) / 2, (1 - c) / 2] for c in confidences], dtype=torch.float64)
    active = torch.ones(len(confidences), dtype=torch.bool)
    scores = None if scores is None else torch.tensor(scores)
    return Step(level, probs.log(), active, scores=scores)


def entropy(confidence):
    rest = (1 - confidence) / 2
    return -sum(p * math.log(p) for p in (confidence, rest, rest) if p)


# heuristic


@often
@given(st.lists(histories, min_size=1, max_size=3), st.integers(1, 9), st.integers(1, 9))
def test_heuristic_adds_two_after_a_whole_draft_and_takes_one_after_any_other(rows, start, most):
    policy = HeuristicPolicy(HeuristicOptions(start=start, steps=most))
    for history in rows:
        length, row = min(start, most), rows_of(1)
        policy.start(row)
        for drafted, accepted, room in history:
            assert policy.limit(row) == [length]
            see(policy, row, [(drafted, accepted, room)])
            if drafted:
                length += 2 if accepted == drafted else -1
                length = min(max(length, 1), most)
        assert policy.limit(row) == [length]


# moving bounds


def moved(bound, rate, drafted, accepted, *, full):
    """Return Draft & Verify's threshold and acceptance rate after a round, as its paper has it."""
    rate = 0.5 * rate + 0.5 * accepted / drafted
    if rate < 0.9:
        sought = bound + 0.01
    elif full:
        sought = bound
    else:
        sought = bound - 0.01
    return 0.9 * bound + 0.1 * sought, rate


@often
@given(st.lists(histories, min_size=1, max_size=3))
def test_the_confidence_threshold_moves_as_in_draft_and_verify_and_is_carried_on(decodes):
    policy = AdaptiveConfidencePolicy(AdaptiveConfidenceOptions(threshold=0.6, steps=6))
    bound, rate = 0.6, 0.0
    for history in decodes:
        row = rows_of(1)
        policy.start(row)
        for drafted, accepted, room in history:
            see(policy, row, [(drafted, accepted, room)])
            if drafted:
                bound, rate = moved(bound, rate, drafted, accepted, full=drafted == 6)
        assert policy.bounds.rows[0].value == pytest.approx(bound)
        near = [bound - 1e-6, bound + 1e-6]
        stopped = [bool(policy.after(step_of([confidence]))[0]) for confidence in near]
        assert stopped == [True, False]
    policy.reset()
    policy.start(rows_of(1))
    assert policy.bounds.rows[0].value == 0.6


@often
@given(st.lists(histories, min_size=1, max_size=3))
def test_adaedl_moves_its_bound_and_eases_it_where_nothing_was_drafted(decodes):
    policy = AdaedlPolicy(AdaedlOptions(bound=0.4, steps=6))
    bound, rate = 0.4, 0.0
    for history in decodes:
        row = rows_of(1)
        policy.start(row)
        for drafted, accepted, room in history:
            see(policy, row, [(drafted, accepted, room)])
            if drafted:
                bound, rate = moved(bound, rate, drafted, accepted, full=accepted == 6)
            elif room:
                bound -= 0.001
        assert policy.bounds.rows[0].value == pytest.approx(bound)


@pytest.mark.parametrize(("name", "moves"), [("adaptive-confidence", 0.0), ("adaedl", -0.001)])
def test_a_draft_of_full_length_holds_the_bound_by_its_length_or_by_what_was_accepted(name, moves):
    """Draft & Verify asks how much was drafted, AdaEDL how much was accepted."""
    policy, row = MAKERS[name](), rows_of(1)
    policy.start(row)
    for _ in range(6):
        see(policy, row, [(8, 8, 9)])
    before = policy.bounds.rows[0].value
    see(policy, row, [(8, 7, 9)])  # 15/16 of the last two drafts: enough
    assert policy.bounds.rows[0].value - before == pytest.approx(moves)


def test_adaedl_refuses_the_token_before_it_is_drafted():
    policy = AdaedlPolicy(AdaedlOptions(bound=0.6, factor=0.2))
    policy.start(rows_of(3))
    confidences = [0.5, 0.8, 0.99]
    expected = [1 - math.sqrt(0.2 * entropy(c)) < 0.6 for c in confidences]
    step = step_of(confidences)
    assert policy.before(step).tolist() == expected == [True, False, False]
    assert policy.after(step) is None


def test_a_bound_that_refuses_everything_comes_back():
    policy = AdaedlPolicy(AdaedlOptions(bound=1.005))
    row = rows_of(1)
    policy.start(row)
    for _ in range(6):
        assert policy.before(step_of([1 - 1e-12])).tolist() == [True]
        see(policy, row, [(0, 0, 5)])
    assert policy.before(step_of([1.0])).tolist() == [False]


def test_svip_stops_after_a_token_of_high_entropy():
    policy = SvipPolicy(SvipOptions())
    confidences = [0.5, 0.85, 0.9, 0.99]
    expected = [math.sqrt(0.15 * entropy(c)) > 0.3 for c in confidences]
    step = step_of(confidences)
    assert policy.before(step) is None
    assert policy.after(step).tolist() == expected
    assert len(set(expected)) == 2
    assert policy.limit(rows_of(2)) == [40, 40]


@pytest.mark.parametrize("name", ["adaptive-confidence", "adaedl"])
def test_rows_move_their_own_bounds_and_the_next_decode_begins_with_the_mean(name):
    policy, rows = MAKERS[name](), rows_of(3)
    policy.start(rows)
    see(policy, rows, [(4, 4, 5), (4, 0, 5), (4, 4, 5)])
    values = [bound.value for bound in policy.bounds.rows]
    rates = [bound.acceptance for bound in policy.bounds.rows]
    assert rates == [0.5, 0.0, 0.5]
    policy.keep([2, 1])
    assert [bound.acceptance for bound in policy.bounds.rows] == [0.5, 0.0]
    policy.start(rows_of(2))
    assert [b.acceptance for b in policy.bounds.rows] == pytest.approx([1 / 3] * 2)
    assert [b.value for b in policy.bounds.rows] == pytest.approx([statistics.mean(values)] * 2)


def test_heuristic_keeps_the_lengths_of_the_rows_that_stay():
    policy, rows = HeuristicPolicy(HeuristicOptions(start=3)), rows_of(3)
    policy.start(rows)
    see(policy, rows, [(3, 3, 5), (3, 1, 5), (0, 0, 0)])
    assert policy.limit(rows) == [5, 2, 3]
    policy.keep([2, 0])
    assert policy.limit(rows_of(2)) == [3, 5]
    policy.start(rows_of(1))
    assert policy.limit(rows_of(1)) == [3]


@pytest.mark.parametrize("name", ["heuristic", "adaptive-confidence", "adaedl"])
def test_a_row_that_has_ended_teaches_nothing(name):
    """EOS cuts a path: what follows it was neither accepted nor refused."""
    policy, rows = MAKERS[name](), rows_of(1)
    policy.start(rows)
    before = policy.limit(rows), getattr(policy, "bounds", None) and policy.bounds.rows
    see(policy, rows, [(4, 1, 5)], finished={0})
    assert before == (policy.limit(rows), getattr(policy, "bounds", None) and policy.bounds.rows)


# cost-aware


def taught(accepts, *, level=0.002, base=0.01, steps=8, rounds=200, policy=None):
    """Return a cost-aware policy after rounds in which ``accepts(confidence)`` was accepted.

    Confidences are 0.85 and 0.35 in turn.
    """
    policy = policy or CostAwarePolicy(CostAwareOptions(steps=steps))
    rows, turns = rows_of(1), itertools.cycle([0.85, 0.85, 0.35])
    for _ in range(rounds):
        (limit,) = policy.limit(rows)
        rows.active[0].room = limit
        shown = [next(turns) for _ in range(limit)]
        drafted = 0
        for confidence in shown:
            stopped = policy.after(step_of([confidence], level=drafted + 1))
            drafted += 1
            if stopped is not None and bool(stopped[0]):
                break
        refused = [n for n, confidence in enumerate(shown[:drafted]) if not accepts(confidence)]
        accepted = refused[0] if refused else drafted
        see(policy, rows, [(drafted, accepted, limit)], seconds=base + level * drafted)
    return policy


def drafts(policy, confidences):
    """Return how many levels the policy lets be drafted of a row with these confidences."""
    rows = rows_of(1)
    (limit,) = policy.limit(rows)
    rows.active[0].room = limit
    for count, confidence in enumerate(confidences[:limit], start=1):
        if bool(policy.after(step_of([confidence], level=count))[0]):
            return count
    return min(limit, len(confidences))


def test_it_stops_after_what_is_never_accepted_and_continues_after_what_always_is():
    policy = taught(lambda confidence: confidence > 0.5)
    assert drafts(policy, [0.85] * 8) == 8
    assert drafts(policy, [0.85, 0.35, 0.85, 0.85]) == 2
    policy = taught(lambda confidence: confidence < 0.5)
    assert drafts(policy, [0.85, 0.35, 0.35]) == 1


@pytest.mark.parametrize(("level", "count"), [(0.0001, 4), (0.004, 2)])
def test_how_far_a_doubtful_path_is_followed_depends_on_what_a_level_costs(level, count):
    turns = itertools.cycle([True, False])
    policy = taught(lambda confidence: confidence > 0.5 or next(turns), level=level)
    assert drafts(policy, [0.85, 0.35, 0.35, 0.85]) == count


def test_where_drafting_never_pays_rounds_are_plain_but_for_probes():
    policy = taught(lambda _: False, level=0.02)
    rows, limits = rows_of(1), []
    for _ in range(2 * PROBE):
        limits.append(policy.limit(rows)[0])
        see(policy, rows, [(limits[-1], 0, limits[-1])], seconds=0.01 + 0.02 * limits[-1])
    assert sorted(limits) == [0] * (2 * PROBE - 2) + [1] * 2
    # And it comes back when the text becomes easy.
    assert drafts(taught(lambda _: True, level=0.001, policy=policy, rounds=800), [0.85] * 8) == 8


def test_the_first_rounds_explore_lengths_within_the_steps():
    policy = CostAwarePolicy(CostAwareOptions(steps=3))
    rows, limits = rows_of(2), []
    for _ in EXPLORED:
        limits.append(policy.limit(rows))
        assert policy.after(step_of([0.01, 0.01])) is None
        see(policy, rows, [(1, 0, 3)] * 2)
    assert limits == [[min(length, 3)] * 2 for length in EXPLORED]


def test_rows_share_the_price_and_continue_together():
    policy = taught(lambda confidence: confidence > 0.5, level=0.003)
    rows = rows_of(2)
    for _ in EXPLORED:
        policy.limit(rows)
        levels = 1 + policy._costs[2].rounds % 2
        for level in range(1, levels + 1):
            policy.after(step_of([0.85, 0.85], level=level))
        see(policy, rows, [(levels, levels, 8)] * 2, seconds=0.015 + 0.0005 * levels)
    policy.limit(rows)
    for row in rows.active:
        row.room = 8
    assert policy.after(step_of([0.85, 0.35])).tolist() == [False, False]
    assert policy.after(step_of([0.35, 0.85], level=2)).tolist() == [True, True]
    policy.limit(rows)
    for row in rows.active:
        row.room = 1
    assert policy.after(step_of([0.85, 0.85])).tolist() == [
        True,
        True,
    ]  # no row has room to continue


def test_a_tree_is_judged_by_what_its_best_path_loses_on_each_level():
    chain = taught(lambda confidence: confidence > 0.5)
    for levels in ([0.85, 0.85, 0.35], [0.35], [0.85, 0.35]):
        rows = rows_of(1)
        rows.active[0].room = 8
        chain.limit(rows)
        expected = [
            chain.after(step_of([c], level=n)).tolist() for n, c in enumerate(levels, start=1)
        ]
        chain.limit(rows)
        paths = list(itertools.accumulate(levels, lambda path, level: path * level))
        assert expected == [
            chain.after(step_of([0.5], level=n, scores=[path])).tolist()
            for n, path in enumerate(paths, start=1)
        ]


def test_reset_forgets_all_that_was_measured():
    policy = taught(lambda _: True)
    policy.reset()
    assert policy.limit(rows_of(1)) == [min(EXPLORED[0], 8)]
    assert policy._chances.by_bin == Chances().by_bin


@often
@given(st.lists(st.tuples(st.lists(st.integers(0, len(EDGES)), max_size=5), st.integers(0, 5))))
def test_chances_are_running_means_by_bin_with_a_prior(rows):
    chances = Chances()
    tried, hit = [0] * len(PRIORS), [0] * len(PRIORS)
    for bins, accepted in rows:
        chances.observe(bins, min(accepted, len(bins)))
        for level, place in enumerate(bins, start=1):
            if level - 1 <= accepted:  # what hangs below a refused level was never judged
                tried[place] += 1
                hit[place] += level <= accepted
    assert chances.by_bin == pytest.approx(
        [(p + h) / (1 + n) for p, h, n in zip(PRIORS, hit, tried, strict=True)]
    )
    assert chances.usual == pytest.approx((0.75 + sum(hit)) / (1 + sum(tried)))


@pytest.mark.parametrize(("base", "level"), [(0.01, 0.002), (0.03, 0.0001), (0.005, 0.02)])
def test_costs_find_the_price_of_a_level_though_some_rounds_are_held_up(base, level):
    costs, seen = Costs(), [0, 0, 0]
    for turn in range(120):
        levels = (turn * 7) % 6
        held_up = 5 if turn % 9 == 4 else 1
        costs.observe(levels, levels // 2 + 1, (base + level * levels) * held_up)
        weight = 0.998 ** (119 - turn)
        seen = [s + weight * x for s, x in zip(seen, (1, levels, levels // 2 + 1), strict=True)]
    rounds, drafted, tokens = seen
    rate = tokens / (base * rounds + level * drafted)
    assert costs.price == pytest.approx(rate * level, rel=0.02)


def test_one_length_alone_is_priced_at_a_share_of_a_round():
    costs = Costs()
    costs.observe(3, 2, 1.0)
    assert costs.price == pytest.approx(0.1 * 2 / (1 + 0.1 * 3))


@pytest.mark.parametrize("slow", [2.0, 0.5])
def test_a_machine_that_changes_its_speed_does_not_change_the_price_of_a_level(slow):
    costs, rounds, drafted = Costs(), 0.0, 0.0
    for turn in range(60):
        # Long drafts at one speed, then short ones at another: over all, length hides the change.
        levels, speed = (4 + 2 * (turn % 2), 1.0) if turn < 30 else (1 + 2 * (turn % 2), slow)
        costs.observe(levels, 1, speed * (0.01 + 0.002 * levels))
        rounds, drafted = 0.998 * rounds + 1, 0.998 * drafted + levels
    assert costs.price == pytest.approx(0.2 * rounds / (rounds + 0.2 * drafted), rel=0.01)


def test_the_weighted_median_is_where_half_the_weight_lies():
    assert weighted_median([(3, 1), (1, 1), (2, 1)]) == 2
    assert weighted_median([(1, 1), (9, 5), (2, 1)]) == 9


# all of them, in the loop


class Sure(Drafter):
    """Draft what the table says, now and then beside it, and show confidences of all sizes."""

    capabilities = Capabilities(shows=frozenset({"confidence", "entropy"}))

    def __init__(self, table):
        self.table, self.depths = table, []

    def start(self, target, rows, captured):
        self.target = target

    def propose(self, rows, stop, sampler):
        tree = self.target.tree(rows)
        active = torch.tensor([row.room > 0 for row in rows.active])
        texts, level = [list(row.tokens) for row in rows.active], 1
        while bool(active.any()):
            step = Step(level, self.logits(texts), active)
            active &= ~falsely(stop.before(step), active)
            if not bool(active.any()):
                break
            tokens = step.logits.argmax(dim=-1)
            tree.add(tokens[:, None], active=active.tolist(), confidences=step.confidence[:, None])
            for text, token in zip(texts, tokens.tolist(), strict=True):
                text.append(token)
            active &= torch.tensor([row.room > level for row in rows.active])
            active &= ~falsely(stop.after(step), active)
            level += 1
        draft = tree.draft()
        self.depths.append([max(depths) for depths in draft.depths])
        return draft

    def logits(self, texts):
        logits = torch.tensor([self.table.logits(text) for text in texts], dtype=torch.float64)
        beside = torch.tensor([sum(text) % 5 == 0 for text in texts])
        sharp = torch.tensor([1 + sum(text) % 3 for text in texts])
        return torch.where(beside[:, None], logits.roll(1, -1), logits) * sharp[:, None]


def falsely(answer, active):
    return torch.zeros_like(active) if answer is None else answer


@few
@given(tables, prompts, st.lists(stops(), min_size=3, max_size=3), st.sampled_from(LEARNED))
def test_no_policy_changes_what_is_said(table, some, ends, name):
    policy = MAKERS[name]()
    for _ in range(2):  # the second decode begins with what the first one left
        rows = make_rows(some, ends[: len(some)])
        everyone = list(rows.active)
        run(table, Sure(table), rows, stop=policy)
        for row in everyone:
            prompt = row.tokens[: row.prompt_length]
            assert (row.new_tokens, row.finish_reason) == table.continuation(row.stops, prompt)


@pytest.mark.parametrize("name", LEARNED)
def test_every_policy_lets_drafts_of_several_lengths_through(name):
    table = Table(salt=1)
    drafter = Sure(table)
    for prompt in ([1, 2], [3], [5, 5, 1]):
        run(table, drafter, make_rows([prompt], Stops(60, 999)), stop=MAKERS[name]())
    assert len({depth for (depth,) in drafter.depths}) > 2


@pytest.mark.models
@pytest.mark.parametrize("name", LEARNED)
def test_a_policy_that_reads_what_is_not_shown_is_refused(name):
    reads = load_registry().stop_policy(name).load().reads
    if not reads:
        specframe.load(strategy="prompt-lookup", stop_policy=name).close()
        return
    message = f"stop policy '{name}' reads {min(reads)}, which drafter 'prompt-lookup' does not"
    with pytest.raises(specframe.InputError, match=message):
        specframe.load(strategy="prompt-lookup", stop_policy=name)


@pytest.mark.models
@pytest.mark.parametrize(
    ("name", "tree"), [*((name, False) for name in LEARNED), ("adaedl", True), ("cost-aware", True)]
)
def test_kangaroo_conforms_under_every_policy(name, tree):
    options = {"tree": True, "tree_top_k": 3, "max_nodes": 16} if tree else {}
    results = check_strategy("kangaroo", options=options, stop_policy=name, max_examples=2)
    skipped = {result.name for result in results if result.status == "skipped"}
    policy = load_registry().stop_policy(name).load()
    timed = {"check_reset_forgets", "check_seeded_repeatability"} if policy.times else set()
    assert skipped == timed | ({"check_rollback"} if policy.learns else set())

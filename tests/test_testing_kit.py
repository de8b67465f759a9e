"""The conformance kit itself: every rule has a fake that breaks it, and a check that notices."""

import random
from collections import Counter
from pathlib import Path

import attrs
import pytest
from hypothesis import find, given, settings

from specframe import Drafter, InputError, StopPolicy, check_draft
from specframe._plugins.component import Component
from specframe._plugins.plugin_info import PluginInfo
from specframe._plugins.registry import Registry
from specframe.testing import (
    CheckResult,
    ConformanceError,
    check_strategy,
    checks,
    draft_trees,
    prob_pairs,
    token_sequences,
)
from specframe.testing._correct_drafters import Echo
from specframe.testing._fake_drafters import (
    FAKES,
    Forgetful,
    KeepsEveryRow,
    Leaky,
    NeverForgets,
    OutOfVocabulary,
)
from specframe.testing._g_test import ALPHA, g_test
from specframe.testing._strategy_suite import BASIC, concluded, make_subject, run_check

KIT = "specframe.testing._correct_drafters"
ALL_FAKES = [(name, fake) for name, fakes in FAKES.items() for fake in fakes]
NAMED = {"check_options_round_trip", "check_listing_is_torch_free"} | {
    "check_words_are_there",
    "check_command_line_shows_it",
}
# Each breaks one rule and nothing else: no other check may fail.
ALONE = {
    "check_rollback",
    "check_stops_inside_a_draft",
    "check_reset_forgets",
    "check_target_is_left_alone",
    "check_metrics_add_up",
}


def judged(fake, name, **settings):
    policy = fake if issubclass(fake, StopPolicy) else None
    subject = make_subject(Echo if policy else fake, stop_policy=policy, **settings)
    subject.shrinks = False
    return run_check(checks()[name], subject)


@pytest.mark.models
@pytest.mark.parametrize(("name", "fake"), ALL_FAKES, ids=str)
def test_each_fake_is_caught_by_the_check_that_names_its_rule(name, fake):
    result = judged(fake, name, max_examples=20)  # as many as an author's own run draws
    assert result.status == "failed"
    assert result.reason.startswith(checks()[name].__doc__.partition("\n")[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ALONE))
def test_no_other_check_cries_out_where_one_rule_is_broken(name):
    for fake in FAKES[name]:
        others = [check.__name__ for check in BASIC if check.__name__ != name]
        found = {other: judged(fake, other, max_examples=8) for other in others}
        assert [str(result) for result in found.values() if result.status == "failed"] == []


def test_every_rule_has_a_fake():
    assert set(FAKES) | NAMED == set(checks())


@attrs.frozen
class Sizes:
    """A field that is no option(), so nothing refuses it before the check."""

    sizes: tuple[int, ...] = (1, 2)


@attrs.frozen
class Silent:
    """Options without words."""

    steps: int = 3


class Optioned(Echo):
    """Take options."""

    def __init__(self, options=None):
        self.options = options


def registered(monkeypatch, *, options=None, summary="a drafter", module=KIT):
    """Register a drafter as 'fake' and return what is under test."""
    plugin = PluginInfo("fake", "fake-plugin", "1.0", module)
    where = f"{__name__}:Optioned" if options else f"{KIT}:Echo"
    component = Component("drafter", "fake", where, options=options, summary=summary, plugin=plugin)
    if options:
        monkeypatch.setattr(Component, "load", lambda _: Optioned)
    from specframe._plugins.discovery import load_registry

    real = load_registry()
    tables = {kind: dict(table) for kind, table in real.tables.items()}
    tables["drafter"]["fake"] = component
    return make_subject("fake", registry=Registry(tables=tables))


@pytest.mark.cli
@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("check_options_round_trip", {"options": Sizes}, "are refused"),
        ("check_listing_is_torch_free", {}, "imports torch"),
        ("check_words_are_there", {"summary": ""}, "without a summary"),
        ("check_words_are_there", {"options": Silent}, "no help text"),
        ("check_command_line_shows_it", {}, "unknown strategy 'fake'"),
    ],
)
def test_what_surrounds_a_strategy_is_checked_too(monkeypatch, name, changes, said):
    result = run_check(checks()[name], registered(monkeypatch, **changes))
    assert result.status == "failed"
    assert said in result.reason


def test_a_failure_says_which_rule_what_was_done_and_on_which_example():
    with pytest.raises(ConformanceError) as caught:
        check_strategy(Leaky)
    assert "'Leaky' fails 1 of 17 checks:" in str(caught.value)
    assert "check_target_is_left_alone" in str(caught.value)
    assert "after [[0, 0]] proposing changed the target's keys and values" in str(caught.value)


@pytest.mark.slow
def test_where_one_fault_fails_many_checks_it_is_named_first():
    with pytest.raises(ConformanceError) as caught:
        check_strategy(OutOfVocabulary, max_examples=2)
    head, first, *others = str(caught.value).splitlines()
    assert "checks; first mend check_tokens_are_in_vocabulary" in head
    assert first.startswith("- check_tokens_are_in_vocabulary: failed")
    assert len(others) > 2


def test_state_that_stays_when_rows_leave_is_found_at_the_level_that_people_meet_first():
    name = "check_batch_equals_single_runs"
    assert name in checks("basic")
    assert "and `keep` takes it along" in judged(KeepsEveryRow, name).reason


def test_a_policy_that_follows_the_clock_need_not_draft_alike_in_a_batch():
    class Clocked(StopPolicy):
        times = True
        ticks = 0

        def limit(self, rows):
            Clocked.ticks += 1
            return [Clocked.ticks % 3] * len(rows)

    subject = make_subject(Echo, stop_policy=Clocked, max_examples=5)
    result = run_check(checks()["check_batch_equals_single_runs"], subject)
    assert (result.status, result.reason) == ("passed", "")


def test_an_expected_failure_is_reported_with_its_reason():
    gaps = {"check_target_is_left_alone": "issue 7"}
    results = {r.name: r for r in check_strategy(Leaky, expected_failed_checks=gaps)}
    assert results["check_target_is_left_alone"].status == "expected"
    assert results["check_target_is_left_alone"].reason == "issue 7"


def test_an_expected_failure_that_passes_is_a_failure():
    gaps = {"check_rollback": "issue 8"}
    with pytest.raises(ConformanceError, match="strike it off the known gaps"):
        check_strategy(Echo, expected_failed_checks=gaps, max_examples=2)


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ({"check_rollbakc": "why"}, "did you mean 'check_rollback'"),
        ({"check_rollback": " "}, "must say why 'check_rollback' fails"),
    ],
)
def test_known_gaps_name_checks_and_give_reasons(gaps, said):
    with pytest.raises(InputError, match=said):
        check_strategy(Echo, expected_failed_checks=gaps)


def test_a_skip_of_everything_is_no_pass():
    with pytest.raises(ConformanceError, match="nothing was tested"):
        concluded("x", [CheckResult("check_rollback", "skipped", "why")], "report")


def test_a_learner_is_held_to_reset_and_excused_from_roll_back():
    results = {r.name: r for r in check_strategy(NeverForgets, on_fail="report", max_examples=5)}
    assert results["check_reset_forgets"].status == "failed"
    assert results["check_rollback"].status == "skipped"
    assert "'learns'" in results["check_rollback"].reason


def test_a_fixed_seed_gives_the_same_verdict():
    reasons = {judged(Forgetful, "check_rollback").reason for _ in range(2)}
    assert len(reasons) == 1


def test_unknown_names_levels_and_answers_are_refused():
    with pytest.raises(InputError, match="did you mean 'kangaroo'"):
        check_strategy("kangaro")
    with pytest.raises(InputError, match="level must be"):
        check_strategy(Echo, level="some")
    with pytest.raises(InputError, match="on_fail must be"):
        concluded("x", [CheckResult("check_rollback", "passed")], "shrug")


def test_the_g_test_passes_true_counts_and_refuses_wrong_ones():
    dice = random.Random(1)
    law = [0.5, 0.3, 0.15, 0.04, 0.01]
    counts = Counter(dice.choices(range(5), law, k=2000))
    assert g_test([counts[i] for i in range(5)], law) > 1e-3
    assert g_test([counts[i] for i in range(5)], [0.4, 0.4, 0.15, 0.04, 0.01]) < ALPHA
    assert g_test([1, 1], [1.0, 0.0]) == 0
    assert g_test([900, 100], [0.9, 0.1]) == pytest.approx(1.0)


def test_the_g_test_has_the_level_that_it_says():
    dice = random.Random(2)
    law = [0.4, 0.3, 0.2, 0.1]
    chances = []
    for _ in range(600):
        counts = Counter(dice.choices(range(4), law, k=300))
        chances.append(g_test([counts[i] for i in range(4)], law))
    assert 0.02 < sum(chance < 0.05 for chance in chances) / 600 < 0.09


@settings(max_examples=100)
@given(prob_pairs(4))
def test_probability_pairs_are_distributions(pair):
    for law in pair:
        assert len(law) == 4
        assert min(law) >= 0
        assert sum(law) == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "is_there",
    [
        lambda p, q: p == q,
        lambda p, q: max(q) == 1 and max(p) < 1,
        lambda p, q: all(a == 0 or b == 0 for a, b in zip(p, q, strict=True)),
        lambda p, _: len(set(p)) < 4 and min(p) > 0,
    ],
    ids=["same", "one-hot", "disjoint", "ties"],
)
def test_probability_pairs_reach_the_edges(is_there):
    assert find(prob_pairs(4), lambda pair: is_there(*pair))


def test_draft_trees_have_siblings_with_the_same_token():
    def has_twins(draft):
        tokens, parents = draft.token_lists[0], draft.parent_lists[0]
        pairs = list(zip(parents, tokens, strict=True))[1:]
        return len(set(pairs)) < len(pairs)

    draft = find(draft_trees(), has_twins)
    check_draft(draft, 6, [9])


@given(token_sequences(5, min_size=2, max_size=3))
def test_token_sequences_stay_in_their_vocabulary(tokens):
    assert 2 <= len(tokens) <= 3
    assert max(tokens) < 5


def test_every_check_is_listed_in_the_documentation():
    page = (Path(__file__).parent.parent / "docs" / "testing.md").read_text(encoding="utf-8")
    from specframe.testing import verifier_checks

    for name, check in {**checks(), **verifier_checks()}.items():
        rule = check.__doc__.partition("\n")[0]
        assert f"| `{name}` | {rule.replace('``', '`')}" in page


def test_fakes_are_drafters_or_stop_policies():
    assert all(issubclass(fake, Drafter | StopPolicy) for _, fake in ALL_FAKES)

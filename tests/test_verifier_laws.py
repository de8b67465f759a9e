"""Verifiers held to their promise by enumeration, and the wrong rules that this must catch."""

import pytest

from specframe.testing import check_verifier, verifier_checks
from specframe.testing._enumeration import outcomes
from specframe.testing._fake_verifiers import FAKE_VERIFIERS, Walker
from specframe.testing._strategy_suite import run_check
from specframe.testing._verifier_suite import verifier_subject

FAKES = [(name, fake) for name, fakes in FAKE_VERIFIERS.items() for fake in fakes]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["greedy", "match", "rejection", "typical"])
def test_the_verifiers_keep_their_promise(name):
    results = check_verifier(name, max_examples=60)
    passed = [result for result in results if result.status == "passed"]
    assert len(passed) == {"greedy": 3, "match": 4, "rejection": 6, "typical": 1}[name]
    assert all(result.examples >= 20 for result in passed)


def test_the_fakes_are_made_from_a_verifier_that_keeps_every_rule():
    told = {result.name: result.status for result in check_verifier(Walker())}
    assert told.pop("check_capturable_reads_nothing") == "skipped", "it reads, and says so"
    assert set(told.values()) == {"passed"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fake"), FAKES, ids=lambda value: getattr(value, "__name__", ""))
def test_each_wrong_rule_is_caught_by_the_check_that_names_it(name, fake):
    failed = {}
    for other, check in verifier_checks().items():
        subject = verifier_subject(fake(), max_examples=40)
        subject.shrinks = False
        result = run_check(check, subject)
        if result.status == "failed":
            failed[other] = result.reason
    assert name in failed
    laws = {check for check in failed if check.startswith("check_law")}
    assert set(failed) <= {name} | (laws if name.startswith("check_law") else set())
    assert ". But with " in failed[name]


def test_every_check_of_verifiers_has_a_fake():
    assert set(FAKE_VERIFIERS) == set(verifier_checks())


def test_enumeration_finds_every_outcome_once():
    def experiment(coins):
        first = coins.pick([0.5, 0.0, 0.5])
        return (first, coins.pick([0.25, 0.75])) if first else (first,)

    assert sorted((value, chance) for chance, value in outcomes(experiment)) == [
        ((0,), 0.5),
        ((2, 0), 0.125),
        ((2, 1), 0.375),
    ]

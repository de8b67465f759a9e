"""Running the checks of a verifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from specframe import InputError, Verifier
from specframe._plugins.discovery import load_registry
from specframe._plugins.options import structure_options
from specframe.testing import _checks_verifier as checks_of
from specframe.testing._check_result import CheckResult
from specframe.testing._checks_capturable import check_capturable_reads_nothing
from specframe.testing._checks_verifier import VerifierSubject
from specframe.testing._settings import KitSettings
from specframe.testing._strategy_suite import Check, concluded, known_gaps, run_check

CHECKS: tuple[Check, ...] = (
    checks_of.check_law_of_chains,
    checks_of.check_law_of_independent_siblings,
    checks_of.check_law_of_siblings_without_replacement,
    checks_of.check_law_of_chosen_trees,
    checks_of.check_greedy_walk,
    checks_of.check_padding_is_never_accepted,
    check_capturable_reads_nothing,
)


def verifier_checks() -> dict[str, Check]:
    """Return the checks of verifiers by name, in the order in which they run; raises nothing."""
    return {check.__name__: check for check in CHECKS}


def check_verifier(  # noqa: PLR0913 (the public entry point)
    verifier: str | Verifier,
    *,
    options: Mapping[str, object] | None = None,
    expected_failed_checks: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "report"] = "raise",
    max_examples: int | None = None,
    seed: int | None = None,
) -> list[CheckResult]:
    """Run all checks of a verifier, a registered name or an instance; like ``check_strategy``.

    The law of the output is computed, not sampled: every accept, refusal and draw is enumerated
    with its probability, in float64, and must add up to the target's law within 1e-12. ``options``
    are values by option name; ``expected_failed_checks`` maps names of checks to reasons;
    ``on_fail`` is "raise" or "report". Raises ConformanceError if a check fails, InputError,
    UnknownNameError and OptionError as ``check_strategy`` does.
    """
    expected = known_gaps(expected_failed_checks or {}, verifier_checks())
    subject = verifier_subject(verifier, options, max_examples, seed)
    results = [run_check(check, subject, expected) for check in CHECKS]
    return concluded(subject.name, results, on_fail)


def verifier_subject(
    verifier: str | Verifier,
    options: Mapping[str, object] | None = None,
    max_examples: int | None = None,
    seed: int | None = None,
) -> VerifierSubject:
    """Return what the checks of verifiers take."""
    chosen = KitSettings.of_environment()
    examples = chosen.max_examples if max_examples is None else max_examples
    start = chosen.seed if seed is None else seed
    if isinstance(verifier, str):
        component = load_registry().verifier(verifier)
        made = structure_options(component.options, options or {}, owner=f"verifier '{verifier}'")
        return VerifierSubject(verifier, component.build(made), examples, start)
    if options:
        raise InputError("options go with a registered name: give them to the verifier you make")
    return VerifierSubject(type(verifier).__name__, verifier, examples, start)

"""The list of checks, and running them on a strategy or a drafter."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from hypothesis.errors import Flaky

from specframe import Drafter, InputError, StopPolicy, _defaults
from specframe._plugins.discovery import load_registry
from specframe._plugins.options import structure_options
from specframe._plugins.registry import Registry
from specframe._words import cause, suggestion
from specframe.testing import (
    _checks_capabilities,
    _checks_draft,
    _checks_law,
    _checks_output,
    _checks_registration,
    _checks_state,
)
from specframe.testing._check_result import (
    Broken,
    CheckResult,
    ConformanceError,
    NotApplicable,
    first_to_mend,
)
from specframe.testing._settings import KitSettings
from specframe.testing._strategy_under_test import Subject

Level = Literal["basic", "full"]
Check = Callable[[Any], None]

BASIC: tuple[Check, ...] = (
    _checks_output.check_greedy_output_equals_plain,
    _checks_output.check_sampled_output_equals_plain,
    _checks_output.check_every_accept_count,
    _checks_output.check_stops_inside_a_draft,
    _checks_draft.check_empty_drafts_are_allowed,
    _checks_draft.check_room_is_respected,
    _checks_draft.check_tokens_are_in_vocabulary,
    _checks_draft.check_trees_are_well_formed,
    _checks_state.check_rollback,
    _checks_state.check_reset_forgets,
    _checks_state.check_seeded_repeatability,
    _checks_state.check_target_is_left_alone,
    _checks_state.check_random_state_is_left_alone,
    _checks_state.check_metrics_add_up,
    _checks_capabilities.check_batch_equals_single_runs,
    _checks_registration.check_options_round_trip,
    _checks_registration.check_listing_is_torch_free,
)
FULL: tuple[Check, ...] = (
    _checks_state.check_rows_that_leave,
    _checks_state.check_handing_over,
    _checks_capabilities.check_tree_nodes_see_their_own_path,
    _checks_law.check_declared_q_matches_samples,
    _checks_law.check_rejection_keeps_the_distribution,
    _checks_capabilities.check_real_model_equals_generate,
    _checks_capabilities.check_real_model_sampling_equals_plain,
    _checks_capabilities.check_every_dtype_decodes,
    _checks_registration.check_words_are_there,
    _checks_registration.check_command_line_shows_it,
)


def checks(level: Level = "full") -> dict[str, Check]:
    """Return the checks of a level by name, in the order in which they run.

    ``level`` is "basic" or "full", which has them all; raises InputError for any other.
    """
    if level not in {"basic", "full"}:
        raise InputError(f"level must be 'basic' or 'full', got {level!r}")
    return {check.__name__: check for check in (BASIC if level == "basic" else BASIC + FULL)}


def check_strategy(  # noqa: PLR0913 (the public entry point)
    strategy: str | Callable[[], Drafter],
    *,
    level: Level = "basic",
    options: Mapping[str, object] | None = None,
    stop_policy: str | Callable[[], StopPolicy] | None = None,
    expected_failed_checks: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "report"] = "raise",
    max_examples: int | None = None,
    seed: int | None = None,
) -> list[CheckResult]:
    """Run all checks of a level and return their results; needs no pytest.

    ``strategy`` is a registered name, a Drafter class, or a function that makes a drafter; each
    decode gets a new one, of ``for_testing`` where it is a class. ``level`` is "basic" or "full".
    ``options`` are values by option name, for a registered name alone. ``expected_failed_checks``
    maps names of checks to the reason why they fail for now; one that passes is a failure.
    ``max_examples`` and ``seed`` default to the pytest options, 20 and 0. Raises ConformanceError
    if a check fails and ``on_fail`` is "raise" (not "report"), and always if not one check applies;
    InputError for an argument that cannot be used, UnknownNameError for a name that nobody
    registers, OptionError for an option.
    """
    expected = known_gaps(expected_failed_checks or {}, checks("full"))
    subject = make_subject(
        strategy, options=options, stop_policy=stop_policy, max_examples=max_examples, seed=seed
    )
    results = [run_check(check, subject, expected) for check in checks(level).values()]
    return concluded(subject.name, results, on_fail)


def concluded(
    name: str, results: list[CheckResult], on_fail: Literal["raise", "report"]
) -> list[CheckResult]:
    """Return results, or raise ConformanceError for what is no conformance."""
    if on_fail not in {"raise", "report"}:
        raise InputError(f"on_fail must be 'raise' or 'report', got {on_fail!r}")
    if all(result.status == "skipped" for result in results):
        reasons = "\n".join(map(str, results))
        raise ConformanceError(f"no check applies to '{name}', so nothing was tested:\n{reasons}")
    failed = [result for result in results if result.status == "failed"]
    if failed and on_fail == "raise":
        first = first_to_mend([result.name for result in failed])
        failed.sort(key=lambda result: result.name != first)
        advice = f"; first mend {first}, whose fault the others meet too" if first else ""
        lines = "\n".join(f"- {result}" for result in failed)
        raise ConformanceError(
            f"'{name}' fails {len(failed)} of {len(results)} checks{advice}:\n{lines}"
        )
    return results


def make_subject(  # noqa: PLR0913 (what check_strategy takes)
    strategy: str | Callable[[], Drafter],
    *,
    options: Mapping[str, object] | None = None,
    stop_policy: str | Callable[[], StopPolicy] | None = None,
    max_examples: int | None = None,
    seed: int | None = None,
    registry: Registry | None = None,
) -> Subject:
    """Return what the checks take; raises InputError for an unknown name or option."""
    registry = registry or load_registry()
    chosen = KitSettings.of_environment()
    settled: dict[str, Any] = {
        "registry": registry,
        "max_examples": chosen.max_examples if max_examples is None else max_examples,
        "seed": chosen.seed if seed is None else seed,
    }
    if isinstance(strategy, str):
        return _named(registry, strategy, options or {}, stop_policy, settled)
    if options:
        raise InputError("options go with a registered name: give them to the drafter you make")
    make: Any = strategy
    if isinstance(strategy, type) and issubclass(strategy, Drafter):
        make = strategy.for_testing
    return Subject(_name_of(strategy), make, stop_policy or _defaults.STOP_POLICY, **settled)


def _named(
    registry: Registry,
    name: str,
    options: Mapping[str, object],
    stop_policy: str | Callable[[], StopPolicy] | None,
    settled: dict[str, Any],
) -> Subject:
    bundle = registry.strategy(name)
    component = registry.drafter(bundle.drafter)
    made = structure_options(component.options, options, owner=f"strategy '{name}'")
    drafter = component.load()

    def make() -> Drafter:
        new: Drafter = drafter.for_testing(made)
        return new

    return Subject(
        name, make, stop_policy or bundle.stop_policy, bundle, component, made, **settled
    )


def run_check(check: Check, subject: Any, expected: Mapping[str, str] | None = None) -> CheckResult:
    """Run one check; the result says what became of it, nothing is raised."""
    name, started, before = check.__name__, time.perf_counter(), subject.examples
    reason, status = "", "passed"
    try:
        with _at_work():
            check(subject)
    except NotApplicable as error:
        status, reason = "skipped", str(error)
    except Flaky:
        status = "failed"
        reason = f"{rule_of(check)} It failed, and did not fail again on the same example."
    except Broken as error:
        status, reason = "failed", f"{rule_of(check)} But {error}."
    except Exception as error:  # noqa: BLE001 (a plug-in may raise anything)
        status, reason = "failed", f"{rule_of(check)} But it raised {cause(error)}."
    gap = (expected or {}).get(name)
    if gap is not None and status == "failed":
        status, reason = "expected", gap
    elif gap is not None and status == "passed":
        status = "failed"
        reason = f"it passes and was expected to fail ({gap}): strike it off the known gaps"
    seconds = time.perf_counter() - started
    return CheckResult(name, status, reason, seconds, subject.examples - before)  # type: ignore[arg-type]


def rule_of(check: Check) -> str:
    """Return the sentence that a check is about."""
    return str(inspect.getdoc(check)).partition("\n")[0]


def known_gaps(expected: Mapping[str, str], known: Mapping[str, Check]) -> dict[str, str]:
    """Return expected failures, or raise InputError for an unknown name or a missing reason."""
    for name, reason in expected.items():
        if name not in known:
            near = suggestion(name, sorted(known))
            raise InputError(
                f"expected_failed_checks names '{name}', which is no check{near} "
                f"Checks: {', '.join(sorted(known))}."
            )
        if not str(reason or "").strip():
            raise InputError(f"expected_failed_checks must say why '{name}' fails, got {reason!r}")
    return dict(expected)


@contextmanager
def _at_work() -> Iterator[None]:
    """Run on one thread, which on tensors this small is fastest, and without gradients."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)


def _name_of(strategy: Any) -> str:
    return str(getattr(strategy, "__name__", type(strategy).__name__))

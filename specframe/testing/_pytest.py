"""The kit in pytest: a decorator and a class to derive from; one test for each check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, cast

import pytest

from specframe import Drafter, StopPolicy
from specframe.testing._check_result import CheckResult
from specframe.testing._settings import KitSettings
from specframe.testing._strategy_suite import (
    BASIC,
    Check,
    Level,
    checks,
    known_gaps,
    make_subject,
    run_check,
)

SUITE = "test_conforms"


def parametrize_with_checks(
    strategies: Iterable[str | Callable[[], Drafter]],
    *,
    level: Level = "basic",
    expected_failed_checks: Mapping[str, str] | None = None,
) -> pytest.MarkDecorator:
    """Give a test the arguments ``strategy`` and ``check``: all it does is ``check(strategy)``.

    Each strategy is what ``check_strategy`` takes; ``level`` is "basic" or "full", and the pytest
    option wins. ``expected_failed_checks`` maps names of checks to reasons; they become strict
    xfails. Raises InputError for an unknown check or level, or a missing reason.
    """
    gaps = known_gaps(expected_failed_checks or {}, checks("full"))
    params = [
        pytest.param(
            strategy,
            _raising(check),
            id=f"{label}-{name}",
            marks=[
                *_marks(check),
                *([pytest.mark.xfail(reason=gaps[name], strict=True)] if name in gaps else []),
            ],
        )
        for label, strategy in _labelled(list(strategies))
        for name, check in checks(_level(level)).items()
    ]
    return pytest.mark.parametrize(("strategy", "check"), params)


class StrategyConformance:
    """Test a strategy by deriving a class from this one; its name begins with ``Test``.

    Give ``strategy``, a registered name, with ``options`` (values by option name) if it needs any;
    or override the class method ``make_drafter``. ``level`` is "basic" or "full".
    ``expected_failed_checks`` maps the names of checks that fail for now to the reasons; one that
    passes is a failure. Deriving raises InputError for an unknown check or level, and TypeError
    where the suite's own test is overridden.
    """

    strategy: ClassVar[str | None] = None
    options: ClassVar[Mapping[str, object]] = {}
    stop_policy: ClassVar[str | Callable[[], StopPolicy] | None] = None
    level: ClassVar[Level] = "basic"
    expected_failed_checks: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def make_drafter(cls) -> Drafter:
        """Return a new drafter, if there is no strategy to name.

        Raises NotImplementedError until it is overridden.
        """
        raise NotImplementedError(
            f"{cls.__name__} must give `strategy`, a registered name, or override `make_drafter`"
        )

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Refuse overrides, and make one test for each check of the level."""
        super().__init_subclass__(**arguments)
        if SUITE in vars(cls):
            raise TypeError(
                f"{cls.__name__} overrides {SUITE}: declare what fails, with its reason, in "
                "expected_failed_checks"
            )
        known_gaps(cls.expected_failed_checks, checks("full"))
        params = [
            pytest.param(check, id=name, marks=_marks(check))
            for name, check in checks(_level(cls.level)).items()
        ]

        def test_conforms(self: StrategyConformance, check: Check) -> None:
            cls = type(self)
            given = cls.make_drafter if cls.strategy is None else cls.strategy
            subject = make_subject(given, options=cls.options, stop_policy=cls.stop_policy)
            _report(run_check(check, subject, cls.expected_failed_checks))

        setattr(cls, SUITE, pytest.mark.parametrize("check", params)(test_conforms))


def _raising(check: Check) -> Callable[[Any], None]:
    """Return the check as a test calls it: on a strategy, and raising what it finds."""

    def run(strategy: str | Callable[[], Drafter]) -> None:
        _report(run_check(check, make_subject(strategy)))

    return run


def _report(result: CheckResult) -> None:
    """Tell pytest what became of a check."""
    if result.status == "skipped":
        pytest.skip(result.reason)
    if result.status == "expected":
        pytest.xfail(result.reason)
    if result.status == "failed":
        pytest.fail(f"{result.name}: {result.reason}", pytrace=False)


def _level(asked: Level) -> Level:
    return cast("Level", KitSettings.of_environment().level or asked)


def _marks(check: Check) -> list[pytest.MarkDecorator]:
    marks = [pytest.mark.specframe_conformance]
    return marks if check in BASIC else [*marks, pytest.mark.specframe_full]


def _labelled(strategies: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield each strategy with a label."""
    names = [
        each if isinstance(each, str) else str(getattr(each, "__name__", "drafter"))
        for each in strategies
    ]
    for place, (name, strategy) in enumerate(zip(names, strategies, strict=True)):
        yield (name if names.count(name) == 1 else f"{name}{place}"), strategy

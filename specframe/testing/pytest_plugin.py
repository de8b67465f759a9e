"""The pytest plug-in: markers and options of the conformance kit; it imports nothing heavy.

pytest loads it by its entry point wherever specframe is installed. What the options say goes into
the environment (``SPECFRAME_TESTING_LEVEL``, ``_MAX_EXAMPLES``, ``_SEED``), which worker processes
inherit.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from specframe.testing._check_result import first_to_mend
from specframe.testing._settings import PREFIX

if TYPE_CHECKING:
    import pytest

CONFORMANCE = "specframe_conformance"
MARKERS = (
    f"{CONFORMANCE}: holds a strategy to one of specframe's rules",
    "specframe_full: belongs to level full of the conformance kit",
)
OPTIONS = ("max_examples", "level", "seed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the kit's options."""
    group = parser.getgroup("specframe", "specframe's conformance kit")
    group.addoption(
        "--specframe-max-examples",
        type=int,
        metavar="N",
        help="examples of each property (default: 20)",
    )
    group.addoption(
        "--specframe-level",
        choices=("basic", "full"),
        help="which checks to run, whatever the tests ask for",
    )
    group.addoption(
        "--specframe-seed", type=int, metavar="N", help="where examples begin (default: 0)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and set the options before tests are collected."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    for option in OPTIONS:
        value = config.getoption(f"specframe_{option}")
        if value is not None:
            name = PREFIX + option.upper()
            config.add_cleanup(_restorer(name))
            os.environ[name] = str(value)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which check to mend first, for each test whose other checks fail for its sake."""
    failed: dict[str, list[str]] = {}
    for report in terminalreporter.getreports("failed"):
        if CONFORMANCE in report.keywords:
            test, _, parameters = report.nodeid.rstrip("]").partition("[")
            subject, dash, check = parameters.rpartition("-")
            failed.setdefault(f"{test}[{subject}]" if dash else test, []).append(check)
    for test, checks in failed.items():
        if first := first_to_mend(checks):
            terminalreporter.write_line(
                f"{test}: first mend {first}, whose fault the other checks meet too"
            )


def _restorer(name: str) -> Restore:
    return Restore(name, os.environ.get(name))


class Restore:
    """Put an environment variable back to what it was."""

    def __init__(self, name: str, value: str | None) -> None:
        """Remember the value."""
        self._name, self._value = name, value

    def __call__(self) -> None:
        """Put it back."""
        os.environ.pop(self._name, None)
        if self._value is not None:
            os.environ[self._name] = self._value

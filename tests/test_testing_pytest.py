"""The kit in pytest, as a plug-in's author meets it: in a separate project, strictly."""

import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.cli, pytest.mark.slow]

HEADER = """
import specframe
from specframe.testing import StrategyConformance, parametrize_with_checks
from specframe.testing._fake_drafters import Leaky
from specframe.testing._correct_drafters import Echo
"""
STRICT = ["--strict-markers", "-W", "error", "--import-mode=importlib", "-p", "no:cacheprovider"]


def pytest_run(folder, code, *arguments):
    """Run pytest on a file in an empty project; the plug-in is loaded by name if not installed."""
    (folder / "test_mine.py").write_text(HEADER + code, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nstrict = true\n", encoding="utf-8")
    loading = [] if _is_installed() else ["-p", "specframe.testing.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *loading, *STRICT, "-q", "-rA", *arguments],
        capture_output=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def _is_installed():
    from importlib.metadata import entry_points

    return any(
        entry.value == "specframe.testing.pytest_plugin" for entry in entry_points(group="pytest11")
    )


def test_a_decorated_test_is_one_item_a_check(tmp_path):
    code = """
@parametrize_with_checks([Echo], expected_failed_checks={"check_listing_is_torch_free": "why"})
def test_conformance(strategy, check):
    check(strategy)
"""
    status, output = pytest_run(tmp_path, code, "--specframe-max-examples=2")
    assert status == 0, output
    assert "15 passed, 2 skipped" in output


def test_expected_failures_are_strict(tmp_path):
    code = """
@parametrize_with_checks(
    [Leaky],
    expected_failed_checks={"check_target_is_left_alone": "why", "check_rollback": "closed"},
)
def test_conformance(strategy, check):
    check(strategy)
"""
    status, output = pytest_run(tmp_path, code, "--specframe-max-examples=2")
    assert status == 1, output
    assert "1 failed, 13 passed, 2 skipped, 1 xfailed" in output
    assert "[XPASS(strict)] closed" in output


def test_a_run_in_which_one_fault_fails_many_checks_ends_with_the_one_to_mend(tmp_path):
    code = """
from specframe.testing._fake_drafters import OutOfVocabulary


@parametrize_with_checks([OutOfVocabulary, Leaky])
def test_conformance(strategy, check):
    check(strategy)


class TestMine(StrategyConformance):
    make_drafter = OutOfVocabulary
"""
    arguments = ["--specframe-max-examples=2", "-k", "in_vocabulary or accept_count or alone"]
    status, output = pytest_run(tmp_path, code, *arguments)
    assert status == 1, output
    advice = ": first mend check_tokens_are_in_vocabulary, whose fault the other checks meet too"
    for test in ("test_mine.py::test_conformance[OutOfVocabulary]", "::TestMine::test_conforms"):
        assert output.count(f"{test}{advice}\n") == 1
    assert output.count("first mend") == 2


def test_a_class_tests_what_it_makes(tmp_path):
    code = """
class TestMine(StrategyConformance):
    expected_failed_checks = {"check_target_is_left_alone": "why"}

    @classmethod
    def make_drafter(cls):
        return Leaky()


class TestOther(StrategyConformance):
    strategy = "none"
"""
    status, output = pytest_run(tmp_path, code, "--specframe-max-examples=2")
    assert status == 0, output
    assert "30 passed, 3 skipped, 1 xfailed" in output
    assert "TestMine::test_conforms[check_rollback]" in output


def test_the_suites_own_test_cannot_be_overridden(tmp_path):
    code = """
class TestMine(StrategyConformance):
    def test_conforms(self, check):
        pass
"""
    status, output = pytest_run(tmp_path, code)
    assert status == 2, output
    assert "TestMine overrides test_conforms: declare what fails" in output


def test_options_choose_level_and_examples(tmp_path):
    code = """
@parametrize_with_checks([Echo])
def test_conformance(strategy, check):
    check(strategy)


def test_settings():
    from specframe.testing._settings import KitSettings

    assert KitSettings.of_environment() == KitSettings(3, 5, "full")
"""
    arguments = ["--specframe-max-examples=3", "--specframe-seed=5", "--specframe-level=full"]
    status, output = pytest_run(tmp_path, code, *arguments, "-m", "not specframe_full")
    assert status == 0, output
    assert "10 deselected" in output


@pytest.mark.parametrize(
    "code", ["import specframe.testing", "import specframe.testing.pytest_plugin"]
)
def test_importing_the_kit_imports_nothing_heavy(code):
    heavy = ("torch", "hypothesis", "pytest", "transformers", "numpy")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}\nimport sys\nprint([n for n in {heavy} if n in sys.modules])",
        ],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        text=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_sorted_documented_and_there():
    from pathlib import Path

    from specframe import testing

    page = (Path(__file__).parent.parent / "docs" / "testing.md").read_text(encoding="utf-8")
    assert testing.__all__ == sorted(set(testing.__all__))
    assert [name for name in testing.__all__ if not hasattr(testing, name)] == []
    assert [name for name in testing.__all__ if name not in page] == []

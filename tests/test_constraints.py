"""Pins and what they ask of Python: each installs on the first release of every minor version."""

import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PROMISED = SpecifierSet(PROJECT["requires-python"])
FIRST = [f"3.{minor}.0" for minor in range(100) if f"3.{minor}.0" in PROMISED]
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = [Requirement(line) for line in LINES if line and not line.startswith("#")]
# Linters, the site's tools and the oldest transformers have environments of their own.
FOLDERS = [*sys.path, *map(str, ROOT.glob(".venv*/lib/python*/site-packages"))]


def asked(pin):
    """Return what each installed distribution of a pin asks of Python; nothing counts too."""
    found = distributions(name=canonicalize_name(pin.name), path=FOLDERS)
    pinned = (each.metadata for each in found if each.version in pin.specifier)
    pinned = (each.metadata.json for each in found if each.version in pin.specifier)
    return {about.get("requires_python", "") for about in pinned}


def test_the_versions_promised_are_those_of_the_classifiers():
    word = "Programming Language :: Python :: "
    named = [line.removeprefix(word) for line in PROJECT["classifiers"] if line.startswith(word)]
    assert [f"{each}.0" for each in named] == FIRST


@pytest.mark.parametrize("pin", PINS, ids=str)
def test_a_pin_installs_on_the_first_release_of_every_promised_python(pin):
    wanted = asked(pin)
    if not wanted:
        pytest.skip("no environment of this checkout has it")
    refused = [each for each in FIRST if any(each not in SpecifierSet(ask) for ask in wanted)]
    assert refused == []

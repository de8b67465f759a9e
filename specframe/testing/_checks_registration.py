"""Checks of what surrounds a registered drafter: options, listing, words."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from typing import Any

import attrs

from specframe._plugins.options import describe_options, structure_options
from specframe.testing._check_result import Broken, NotApplicable
from specframe.testing._strategy_under_test import Subject

RELEVANT = ("torch", "transformers")


def check_options_round_trip(subject: Subject) -> None:
    """Every option must be read back from its text, as the command line gives it."""
    cls = subject.registered().options
    if cls is None:
        raise NotApplicable("the drafter takes no options")
    values = {field.name: getattr(subject.options, field.name) for field in attrs.fields(cls)}
    texts = {name: _text(value) for name, value in values.items()}
    subject.examples += len(texts)
    try:
        again: Any = structure_options(cls, texts, owner=f"strategy '{subject.name}'")
    except Exception as error:
        raise Broken(f"its options {texts} are refused: {error}") from error
    for name, value in values.items():
        if getattr(again, name) != value:
            raise Broken(f"option {name}={value!r} comes back as {getattr(again, name)!r}")


def check_listing_is_torch_free(subject: Subject) -> None:
    """The module that registers a plug-in must not import torch."""
    module = subject.registered().plugin.module.partition(":")[0]
    found = _run(
        f"import sys; import {module}; print(*[n for n in {RELEVANT} if n in sys.modules])"
    )
    if found.split():
        raise Broken(
            f"importing {module} imports {found.strip()}: name the implementation as "
            '"module:attribute", which is imported when it is chosen'
        )


def check_words_are_there(subject: Subject) -> None:
    """A drafter must have a summary and a docstring, and each of its options a help text."""
    component = subject.registered()
    if not component.summary:
        raise Broken("it is registered without a summary")
    if not inspect.getdoc(component.load()):
        raise Broken(f"{component.implementation} has no docstring")
    silent = [each.name for each in describe_options(component.options) if not each.help]
    if silent:
        raise Broken(f"option(s) {', '.join(silent)} have no help text: declare them with option()")


def check_command_line_shows_it(subject: Subject) -> None:
    """``specframe strategies show NAME`` must answer with the summary and every option."""
    component = subject.registered()
    shown = _run(
        "from specframe.cli import main; raise SystemExit(main())",
        "strategies",
        "show",
        subject.name,
    )
    missing = [each.name for each in describe_options(component.options) if each.name not in shown]
    if missing:
        raise Broken(f"it does not show option(s) {', '.join(missing)}")


def _text(value: object) -> str:
    return "none" if value is None else str(value)


def _run(code: str, *arguments: str) -> str:
    """Run Python in a process of its own, with this one's path; return what it printed."""
    done = subprocess.run(  # noqa: S603 (our own interpreter)
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        text=True,
    )
    if done.returncode:
        raise Broken(f"`{' '.join(arguments) or code}` fails: {done.stderr.strip()[-300:]}")
    return done.stdout

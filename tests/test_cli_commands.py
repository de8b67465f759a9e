"""All commands at once: which of them take their flags from a file, and why the others do not."""

from pathlib import Path

import pytest
import typer
from typer.main import get_command

from specframe.cli._app import build_app

PAGE = Path(__file__).parent.parent / "docs" / "shell.md"
WITHOUT_FILE = {
    "specframe": "what it says of itself ends at once: a version, a script of completion",
    "specframe strategies": "it lists",
    "specframe strategies show": "it shows one",
    "specframe plugins": "it lists",
    "specframe demo": "it has no flags",
    "specframe demo build": "there is one demo model, built in one way",
    "specframe bench compare": "the folders that it is given are what it is about",
    "specframe trace": "it has no flags",
    "specframe trace view": "the files that it is given are what it is about",
}


@pytest.fixture(scope="module")
def commands():
    """Return every command by the words that call it."""
    return dict(commands_below("specframe", get_command(build_app())))


def commands_below(words, command):
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands_below(f"{words} {name}", below)


def takes_file(command):
    flags = {flag for each in command.get_params(typer.Context(command)) for flag in each.opts}
    assert ("--config" in flags) == ("--print-config" in flags)
    return "--config" in flags


def test_every_command_takes_its_flags_from_a_file_or_has_a_reason_not_to(commands):
    without = {words for words, command in commands.items() if not takes_file(command)}
    assert without == WITHOUT_FILE.keys()


def test_the_page_says_which_commands_take_a_file_and_which_do_not(commands):
    section = PAGE.read_text("utf-8").partition("## Files of settings\n")[2].partition("```")[0]
    said_with, said_without = section.split("The other commands do not")
    for words, command in commands.items():
        name = words.removeprefix("specframe ")
        if takes_file(command):
            assert f"`{name}`" in said_with
        elif not hasattr(command, "commands"):
            assert f"`{name}`" in said_without

"""``specframe new``: a package for a new plug-in, ready to install and to test."""

from __future__ import annotations

import datetime as dt
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from specframe._errors import InputError
from specframe._plugins.discovery import load_registry
from specframe._scaffold.package_names import (
    KINDS,
    LICENCES,
    Author,
    KindName,
    Licence,
    Names,
    check_name,
    refuse_taken,
    summary_of,
)
from specframe._scaffold.write_package import check_folder, write_package
from specframe.cli._display import is_terminal, say


def new(  # noqa: PLR0913 (one parameter a flag)
    kind: Annotated[
        KindName, typer.Argument(metavar="KIND", help="drafter, verifier, stop-policy or strategy")
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="what people will type to choose it")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="where the package is written; absent: ./NAME"),
    ] = None,
    summary: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="what it does, in one line; absent: what is written does"
        ),
    ] = None,
    licence: Annotated[
        Licence | None,
        typer.Option(
            "--licence",
            "--license",
            metavar="NAME",
            help=f"{', '.join(LICENCES)}; absent: {LICENCES[0]}",
        ),
    ] = None,
    author: Annotated[
        str | None, typer.Option(metavar="NAME", help="who holds the copyright; absent: git's user")
    ] = None,
) -> None:
    """Write a package with a plug-in that works: code, options, tests, CI, README and licence.

    A person at a terminal is asked for summary, author and licence; nobody else is asked.
    """
    check_name(name)
    names, folder = Names(name), Path(name) if output is None else output
    refuse_taken(kind, names, load_registry())
    check_folder(folder)
    told = asked_summary(kind) if summary is None else summary_of(summary)
    who = checked_author(author or asked_author(names))
    year = dt.datetime.now(tz=dt.UTC).year
    holder = Author(who, year, licence or asked_licence())
    files = write_package(kind, names, told, holder, folder)
    say(f"{folder}: {len(files)} files with the {KINDS[kind].noun} '{name}'. Next:\n")
    for line in next_steps(kind, name, folder):
        say(f"  {line}")


def next_steps(kind: KindName, name: str, folder: Path) -> list[str]:
    """Return the commands that show that the package works."""
    where = str(folder) if folder.is_absolute() else f"./{folder.as_posix()}"
    return [
        f"pip install -e {shlex.quote(f'{where}[dev]')}",
        f"specframe decode {KINDS[kind].arguments(name)}",
        f"specframe check {KINDS[kind].check(name)}",
        f"cd {shlex.quote(str(folder))} && pytest",
    ]


def asked_summary(kind: KindName) -> str:
    """Ask a person for the summary until it is valid; else return what the written code does."""
    usual = KINDS[kind].summary
    if not is_attended():
        return usual
    told: str = typer.prompt("summary", default=usual, value_proc=acceptable_summary, err=True)
    return told


def acceptable_summary(told: str) -> str:
    """Return the summary that a person gave, or raise what makes typer ask again."""
    try:
        return summary_of(told)
    except InputError as error:
        raise typer.BadParameter(str(error)) from error


def checked_author(author: str) -> str:
    """Return the author's name, or raise InputError if it is more than a line."""
    if not author.strip() or not author.isprintable():
        raise InputError(f"--author is {author!r}: give a name in one line")
    return author.strip()


def asked_author(names: Names) -> str:
    """Ask a person for the author; else return git's user, or a name made from the package's."""
    usual = git_user() or f"the authors of {names.distribution}"
    return str(typer.prompt("author", default=usual, err=True)) if is_attended() else usual


def asked_licence() -> Licence:
    """Ask a person for the licence until it is a known one; else return the first."""
    usual = LICENCES[0]
    if not is_attended():
        return usual
    question = f"licence ({', '.join(LICENCES)})"
    chosen: Licence = typer.prompt(question, default=usual, value_proc=licence_of, err=True)
    return chosen


def licence_of(told: str) -> Licence:
    """Return the licence that a person named, or raise what makes typer ask again."""
    for licence in LICENCES:
        if licence.lower() == told.strip().lower():
            return licence
    raise typer.BadParameter(f"there is no licence '{told}' to choose")


def git_user() -> str:
    """Return the name that git signs with, or nothing where there is no git or no name."""
    git = shutil.which("git")
    if git is None:
        return ""
    told = subprocess.run(  # noqa: S603 (git, asked for a name)
        [git, "config", "user.name"], capture_output=True, check=False, text=True
    )
    return told.stdout.strip()


def is_attended() -> bool:
    """Say whether a person sits at the terminal."""
    return sys.stdin.isatty() and is_terminal(sys.stderr)

"""Which texts of a configuration are paths, and what they are relative to: the file's folder."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

from specframe._plugins.discovery import load_registry
from specframe._plugins.options import path_options

LOCAL = ("./", "../", ".\\", "..\\", "~")


def is_path(text: str, base: Path) -> bool:
    """Say whether text means a path: it begins with a dot or a tilde, or lies below ``base``.

    A name without a separator is none, since models and options have such names; nor is one with
    a slash where nothing lies: the hub has such names.
    """
    if text.startswith(LOCAL) or text in {".", ".."}:
        return True
    return ("/" in text or "\\" in text) and is_there(base / text)


def is_path_option(key: str, text: str, base: Path) -> bool:
    """Say whether the text of an option is a path: declared as one, or ``is_path``."""
    is_declared = key.rpartition(".")[2] in declared_paths() and text.strip().lower() != "none"
    return is_declared or is_path(text, base)


def is_there(path: Path) -> bool:
    """Say whether something lies at ``path``; text that can be no path lies nowhere."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def from_file(text: str, base: Path) -> str:
    """Return a path of a file of settings as seen from here."""
    path = Path(text)
    with contextlib.suppress(RuntimeError):  # "~name" of no user here is a name like any other
        path = path.expanduser()
    return str((base / path).absolute())


def for_file(text: str | Path) -> str:
    """Return a path as a file of settings may hold it, wherever that file will lie."""
    return str(Path(text).absolute())


@functools.cache
def declared_paths() -> frozenset[str]:
    """Return the names of all options that are declared as paths, whoever has them."""
    tables = load_registry().tables.values()
    return frozenset(
        name for table in tables for each in table.values() for name in path_options(each.options)
    )

"""Completion in shells: their scripts, what those are answered, and where they are installed.

typer resolves a half-typed line; the scripts are ours: one call for each TAB, whole words even
where a shell splits them, and no blank after ``-o steps=``.

typer's own scripts would take bash's word breaks for words, so that nothing after ``=`` could be
completed, leave a blank after ``steps=`` and call twice in fish.
"""

from __future__ import annotations

import importlib
import importlib.resources
import os
import shlex
from pathlib import Path
from typing import Any, Final

import attrs
from typer.core import TyperGroup

from specframe._errors import InputError
from specframe._files import write_atomically

LINE: Final = "_SPECFRAME_LINE"  # the line up to the cursor
WORD: Final = "_SPECFRAME_WORD"  # what bash will replace: less than a word after "=" or ":"
FILES: Final = {"bash": "bash.sh", "zsh": "zsh.zsh", "fish": "fish.fish"}


@attrs.frozen
class Completion:
    """Hold what a word may become, and what that means."""

    value: str
    help: str


def reply(command: Any, shell: str) -> str:
    """Return the lines that a shell's script reads: a value, for most with its help after a tab.

    ``command`` is the app as typer built it; the rest of the question is in the environment.
    """
    args, incomplete = typed_words(os.environ.get(LINE, ""))
    items = completions(command, args, incomplete)
    if shell == "bash":
        kept = kept_by_bash(incomplete, os.environ.get(WORD, incomplete))
        return "".join(f"{item.value.removeprefix(kept)}\n" for item in items)
    return "".join(f"{item.value}\t{item.help}\n" for item in items)


def typed_words(line: str) -> tuple[list[str], str]:
    """Return the complete words after the command, and the one that is not complete."""
    words = split(line)[1:]
    if not words or line.endswith((" ", "\t")):
        return words, ""
    return words[:-1], words[-1]


def split(line: str) -> list[str]:
    """Return the words of a line as a shell does; a quote need not be closed yet."""
    words = shlex.shlex(line, posix=True)
    words.whitespace_split, words.commenters = True, ""
    found: list[str] = []
    try:
        found.extend(words)  # those before the fault are in the list
    except ValueError:
        found.append(words.token)
    return found


def completions(command: Any, args: list[str], incomplete: str) -> list[Completion]:
    """Return what the last word may become, as whole words: ``--dtype=a`` as ``--dtype=auto``."""
    resolver = resolver_of_typer()
    if resolver is None:
        return []
    found = resolver(command, {}, "specframe", "").get_completions(list(args), incomplete)
    flag, equals, _ = incomplete.partition("=")
    begun = f"{flag}=" if equals and flag.startswith("-") else ""
    return [
        Completion(f"{begun}{each.value}", " ".join((each.help or "").split())) for each in found
    ]


def resolver_of_typer() -> Any:
    """Return the class that resolves half-typed lines, or None where typer has none any more.

    It is part of the click that typer's commands are made of, which is no public name of typer: its
    own copy today, the package elsewhere. The shell completes nothing without it.
    """
    core = next(each.__module__ for each in TyperGroup.__mro__ if each.__name__ == "Command")
    try:
        module: Any = importlib.import_module(f"{core.rpartition('.')[0]}.shell_completion")
        resolver: type = module.ShellComplete
    except (ImportError, AttributeError):
        return None
    # Its abstract methods are about its own scripts, which are not used.
    return type(
        "Resolver", (resolver,), dict.fromkeys(getattr(resolver, "__abstractmethods__", ()))
    )


def kept_by_bash(incomplete: str, word: str) -> str:
    """Return the beginning of a word that bash keeps and a reply must not repeat."""
    replaced = "" if word in {"=", ":"} else word
    return incomplete[: len(incomplete) - len(replaced)] if incomplete.endswith(replaced) else ""


def script(shell: str) -> str:
    """Return a shell's script; raises InputError for a shell that has none."""
    if shell not in FILES:
        raise InputError(
            f"there is no completion for {f'shell {shell!r}' if shell else 'a shell without name'}:"
            f" name one of {', '.join(FILES)}"
        )
    folder = importlib.resources.files("specframe.cli") / "shells"
    return (folder / FILES[shell]).read_text("utf-8")


def shell_named(name: str) -> str:
    """Return the shell that is meant: the one that is named, else the one in ``SHELL``."""
    return name or Path(os.environ.get("SHELL", "")).name.removesuffix(".exe")


def install(shell: str) -> Path:
    """Write a shell's script where it is found, add what loads it, and return where it lies.

    Files of the user are only ever added to, and only once.
    """
    text = script(shell)
    home = Path.home()
    if shell == "fish":
        config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        return written(config / "fish" / "completions" / "specframe.fish", text)
    if shell == "bash":
        path = written(home / ".bash_completions" / "specframe.sh", text)
        add_line(home / ".bashrc", f"source '{path}'")
        return path
    path = written(home / ".zfunc" / "_specframe", text)
    start = Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
    add_line(start, f"fpath+=('{path.parent}'); autoload -Uz compinit; compinit")
    return path


def written(path: Path, text: str) -> Path:
    """Write a file, making its folder, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)
    return path


def add_line(path: Path, line: str) -> None:
    """Add a line to the end of a file, which may be missing, unless the file has it."""
    content = path.read_bytes() if path.exists() else b""
    if line.encode() in content.splitlines():
        return
    with path.open("ab") as file:
        file.write(b"\n" * (not content.endswith(b"\n") and bool(content)) + line.encode() + b"\n")

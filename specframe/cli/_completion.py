"""Completion in shells: their scripts, what those are answered, and where they are installed.

typer's own resolving of a half-typed line serves; the scripts are ours: one call for each TAB,
whole words whatever a shell thinks a word is, and no blank behind ``-o steps=``.
"""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from specframe._errors import InputError
from specframe._files import write_atomically

if TYPE_CHECKING:
    from typer._click.shell_completion import CompletionItem

LINE: Final = "_SPECFRAME_LINE"  # the line up to the cursor
WORD: Final = "_SPECFRAME_WORD"  # what bash will replace: less than a word behind "=" or ":"
FILES: Final = {"bash": "bash.sh", "zsh": "zsh.zsh", "fish": "fish.fish"}


def reply(command: Any, shell: str) -> str:
    """Return the lines that a shell's script reads: a value, for most with its help behind a tab.

    ``command`` is the app as typer built it; the rest of the question stands in the environment.
    """
    args, incomplete = typed_words(os.environ.get(LINE, ""))
    items = completions(command, args, incomplete)
    if shell == "bash":
        kept = kept_by_bash(incomplete, os.environ.get(WORD, incomplete))
        return "".join(f"{item.value.removeprefix(kept)}\n" for item in items)
    return "".join(f"{item.value}\t{' '.join((item.help or '').split())}\n" for item in items)


def typed_words(line: str) -> tuple[list[str], str]:
    """Return the words behind the command that are complete, and the one that is not."""
    from typer._click.shell_completion import split_arg_string  # noqa: PLC0415 (a shell's question)

    words = split_arg_string(line)[1:]
    if not words or line.endswith((" ", "\t")):
        return words, ""
    return words[:-1], words[-1]


def completions(command: Any, args: list[str], incomplete: str) -> list[CompletionItem]:
    """Return what the last word may become, as whole words: ``--dtype=a`` as ``--dtype=auto``."""
    from typer._click.shell_completion import CompletionItem  # noqa: PLC0415 (see above)
    from typer._completion_classes import BashComplete  # noqa: PLC0415

    asked = BashComplete(command, {}, "specframe", "")
    found = asked.get_completions(list(args), incomplete)
    flag, equals, _ = incomplete.partition("=")
    if not (equals and flag.startswith("-")):
        return found
    return [CompletionItem(f"{flag}={each.value}", help=each.help) for each in found]


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
    """Add a line to the end of a file that may be missing, unless it stands there."""
    content = path.read_bytes() if path.exists() else b""
    if line.encode() in content.splitlines():
        return
    with path.open("ab") as file:
        file.write(b"\n" * (not content.endswith(b"\n") and bool(content)) + line.encode() + b"\n")

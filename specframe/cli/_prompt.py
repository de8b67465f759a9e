"""The prompt of ``specframe decode``: where it comes from and how a chat model wants it."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specframe._errors import InputError

if TYPE_CHECKING:
    from specframe.cli._display import Notes


def read_prompt(argument: str | None, file: Path | None, notes: Notes) -> str:
    """Return the prompt: an argument, a file, standard input, or the bundled one with a note.

    One line break at the end of a file or of standard input is not part of the prompt. Raises
    InputError when the prompt is given twice, empty or no UTF-8 text.
    """
    if argument is not None and file is not None:
        raise InputError("a prompt was given twice: as an argument and with --prompt-file")
    if file is not None:
        return checked(text_of(file.read_bytes(), str(file)), str(file))
    if argument == "-" or (argument is None and is_piped()):
        return checked(text_of(read_input(), "standard input"), "standard input")
    if argument is not None:
        return checked(argument, "the argument")
    notes.note("no prompt was given, so this one is bundled (standard input and -p FILE work too)")
    return bundled_prompt()


def bundled_prompt() -> str:
    """Return the prompt that is used where none is given."""
    from specframe._loading.loading import demo_prompt  # noqa: PLC0415 (imports torch)

    return demo_prompt()


def is_piped() -> bool:
    """Say whether standard input is a pipe, a file or a socket: not a terminal, not /dev/null."""
    if sys.stdin is None or sys.stdin.closed:
        return False
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except OSError:  # something else replaces it: no file, so no pipe
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def read_input() -> bytes:
    """Read standard input to its end."""
    if sys.stdin is None:
        raise InputError("the prompt should come from standard input, which is closed")
    return sys.stdin.buffer.read()


def text_of(content: bytes, source: str) -> str:
    """Decode UTF-8 and drop one line break at the end."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8 text (byte {error.start})") from error
    return text.removesuffix("\n").removesuffix("\r")


def checked(text: str, source: str) -> str:
    """Return ``text`` if a tokenizer can take it; else raise InputError."""
    if not text:
        raise InputError(f"the prompt is empty ({source}): give at least one token of text")
    if not is_encodable(text):
        raise InputError(f"the prompt is not UTF-8 text ({source})")
    return text


def is_encodable(text: str) -> bool:
    """Say whether ``text`` holds no lone surrogate, which no UTF-8 can carry."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def has_chat_template(tokenizer: Any) -> bool:
    """Say whether a tokenizer (or None) brings a chat template."""
    return bool(getattr(tokenizer, "chat_template", None))


def for_model(text: str, tokenizer: Any, notes: Notes, *, chat: bool | None) -> str | list[int]:
    """Return what to decode: the text, or its ids inside the tokenizer's chat template.

    ``chat=None`` applies the template if there is one, True asks for it, False forbids it.
    """
    if not has_chat_template(tokenizer):
        if chat:
            notes.note("the tokenizer has no chat template: --chat changes nothing")
        return text
    if chat is False:
        return text
    messages = [{"role": "user", "content": text}]
    ids: list[int] = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=False
    )
    return ids

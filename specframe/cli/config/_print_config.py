"""The configuration in force, as TOML that ``-c`` reads back."""

from __future__ import annotations

import contextlib
import math
import re
from pathlib import Path
from typing import Any

from specframe._errors import InputError
from specframe.cli._flags import parse_options
from specframe.cli.config._paths import for_file, is_path, is_path_option, is_there
from specframe.cli.config._settings import OPTION, OPTIONS, key_of, settable

HERE = Path()
BARE = re.compile(r"[A-Za-z0-9_-]+")
NAMED = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def config_text(context: Any) -> str:
    """Return every flag in force of a command whose line was read; unset ones have no line.

    Paths are absolute, so that the file may lie anywhere, and all is ASCII, so that no shell's
    redirection spoils it. Raises InputError for text that is no Unicode.
    """
    command = str(context.info_name)
    lines = [f"# specframe {command} -c THIS_FILE", f"[{command}]"]
    for parameter in settable(context):
        value = context.params.get(parameter.name)
        if parameter.name != OPTION and value not in (None, (), []):
            lines.append(f"{key_of(parameter)} = {toml(placed(value, parameter))}")
    options = parse_options(list(context.params.get(OPTION) or ()))
    if options:
        lines += ["", f"[{command}.{OPTIONS}]"]
        lines += [f"{toml_key(key)} = {toml(typed(key, value))}" for key, value in options.items()]
    return "\n".join(lines)


def placed(value: Any, parameter: Any) -> Any:
    """Return a value with its relative paths made absolute."""
    if isinstance(value, Path):
        return for_file(value)
    if parameter.metavar == "MODEL":
        return for_file(value) if is_path(value, HERE) or is_there(HERE / value) else value
    return value


def typed(key: str, text: str) -> Any:
    """Return an option's text: as the number or truth that is written so, a path as absolute."""
    if text in {"true", "false"}:
        return text == "true"
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            if str(kind(text)) == text and math.isfinite(kind(text)):
                return kind(text)
    return for_file(text) if is_path_option(key, text, HERE) else text


def toml(value: Any) -> str:
    """Return a value in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml(item) for item in value)}]"
    return quoted(value) if isinstance(value, str) else str(value)


def toml_key(key: str) -> str:
    """Return a key in TOML: quoted unless it is bare, so that a dot in it opens no table."""
    return key if BARE.fullmatch(key) else quoted(key)


def quoted(text: str) -> str:
    """Return text as a basic string of ASCII; raises InputError for a lone surrogate."""
    return f'"{"".join(escaped(letter) for letter in text)}"'


def escaped(letter: str) -> str:
    """Return a character as a basic string of ASCII holds it."""
    code = ord(letter)
    if letter in NAMED:
        return NAMED[letter]
    if 0xD800 <= code <= 0xDFFF:
        raise InputError("a value on the command line is not UTF-8 text, which TOML cannot hold")
    if 0x20 <= code < 0x7F:
        return letter
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"

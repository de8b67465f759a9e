"""Files of settings: TOML, a table for each command, whose keys are the long flags."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from specframe._errors import InputError
from specframe._words import suggestion

HEADER = re.compile(r"\s*\[(?P<key>[^\[\]]+)\]")
ASSIGNMENT = re.compile(r"\s*(?P<key>(?:\"[^\"]*\"|'[^']*'|[^\"'=#\[])+?)\s*=")
PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([^.\s]+)")


@attrs.frozen
class ConfigFile:
    """One file of settings as it was read; ``text`` serves to find lines for messages."""

    path: Path
    text: str
    tables: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> ConfigFile:
        """Read a file; raises InputError for what is no TOML, and OSError."""
        import tomllib  # noqa: PLC0415 (only who brings a file pays for it)

        text = decoded(path.read_bytes(), path)
        try:
            return cls(path, text, tomllib.loads(text))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InputError(f"{path} is not TOML: {error}") from error

    def table(self, command: str, commands: Iterable[str]) -> dict[str, Any]:
        """Return the settings of ``command``, none where the file does not name it.

        Raises InputError for a table that is none of ``commands``, and for keys outside of tables.
        """
        known = sorted(commands)
        for name, value in self.tables.items():
            if not isinstance(value, dict):
                raise InputError(
                    f"{self.where(name)}: '{name}' is outside of a table: put it under [{command}]"
                )
            if name not in known:
                raise InputError(
                    f"{self.where(name)}: no command takes its flags from table [{name}]"
                    f"{suggestion(name, known)} Tables: {', '.join(known)}"
                )
        return dict(self.tables.get(command, {}))

    def where(self, *keys: str) -> str:
        """Name the file, and the first line of a key of it where that can be told."""
        for number, line in enumerate(self.text.split("\n"), 1):
            if self._keys_at(number, line)[: len(keys)] == keys:
                return f"{self.path}, line {number}"
        return str(self.path)

    def _keys_at(self, number: int, line: str) -> tuple[str, ...]:
        """Return the whole dotted key that a line is about, () where it is about none."""
        if header := HEADER.match(line):
            return parts_of(header["key"])
        assignment = ASSIGNMENT.match(line)
        if assignment is None:
            return ()
        above = self.text.split("\n")[: number - 1]
        headers = (HEADER.match(each) for each in reversed(above))
        inside = next((parts_of(found["key"]) for found in headers if found), ())
        return (*inside, *parts_of(assignment["key"]))


def parts_of(key: str) -> tuple[str, ...]:
    """Return the parts of a dotted key, without their quotes."""
    return tuple("".join(part) for part in PART.findall(key))


def decoded(content: bytes, path: Path) -> str:
    """Decode a file: UTF-8, or what its byte order mark says; PowerShell's ``>`` writes UTF-16."""
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start})") from error


def flattened(table: Mapping[str, Any], above: Sequence[str] = ()) -> dict[str, Any]:
    """Return the values of nested tables under their dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        keys = (*above, key)
        flat |= flattened(value, keys) if isinstance(value, dict) else {".".join(keys): value}
    return flat

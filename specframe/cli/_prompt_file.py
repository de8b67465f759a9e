"""The input of ``--prompts``: JSON lines, checked as a whole before anything is decoded."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

import attrs

from specframe._errors import InputError
from specframe.cli._prompt import is_encodable

if TYPE_CHECKING:
    from pathlib import Path

Id = str | int


@attrs.frozen
class PromptLine:
    """One prompt of the file; ``max_new_tokens=None`` leaves the number to the command line."""

    id: Id
    prompt: str | list[int]
    max_new_tokens: int | None = None


class _LineError(ValueError):
    """What is wrong with a line, before its number is known."""


def read_prompt_file(path: Path) -> list[PromptLine]:
    """Return the prompts of a JSON-lines file in order; empty lines are skipped.

    Keys other than ``id``, ``prompt``, ``prompt_ids`` and ``max_new_tokens`` are ignored. Raises
    InputError that names the first bad line with its number.
    """
    lines: list[PromptLine] = []
    seen: dict[Id, int] = {}
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    for number, raw in enumerate(content.split(b"\n"), 1):
        if not raw.strip():
            continue
        try:
            line = parse_line(raw)
            _refuse_repeated(line.id, seen)
        except _LineError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        seen[line.id] = number
        lines.append(line)
    if not lines:
        raise InputError(f"{path} holds no prompts")
    return lines


def parse_line(raw: bytes) -> PromptLine:
    """Return the prompt that a line holds; raises ValueError that says what is wrong."""
    try:
        record = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _LineError("not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise _LineError(f"not JSON ({error})") from error
    if not isinstance(record, dict):
        raise _LineError(
            f'expected an object like {{"id": 1, "prompt": "..."}}, got {_show(record)}'
        )
    return PromptLine(_id(record), _prompt(record), _max_new_tokens(record))


def _refuse_repeated(
    id: Id,  # noqa: A002 (the key's name)
    seen: dict[Id, int],
) -> None:
    if id in seen:
        raise _LineError(f"id {_show(id)} is already that of line {seen[id]}")


def _id(record: dict[str, Any]) -> Id:
    if "id" not in record:
        raise _LineError("'id' is missing")
    found = record["id"]
    is_text = isinstance(found, str) and is_encodable(found)
    if is_text or (isinstance(found, int) and not isinstance(found, bool)):
        return found  # type: ignore[no-any-return]
    raise _LineError(f"'id' must be a string or a whole number, got {_show(found)}")


def _prompt(record: dict[str, Any]) -> str | list[int]:
    given = [key for key in ("prompt", "prompt_ids") if record.get(key) is not None]
    if len(given) != 1:
        raise _LineError(
            "'prompt' or 'prompt_ids' is missing"
            if not given
            else "'prompt' and 'prompt_ids' are both given: give one"
        )
    value = record[given[0]]
    if given == ["prompt_ids"]:
        return _ids(value)
    if not isinstance(value, str):
        raise _LineError(f"'prompt' must be a string, got {_show(value)}")
    if not value:
        raise _LineError("'prompt' is empty")
    if not is_encodable(value):
        raise _LineError("'prompt' is not UTF-8 text (it holds a lone surrogate)")
    return value


def _ids(value: Any) -> list[int]:
    if not isinstance(value, list) or not all(_is_count(token) for token in value):
        raise _LineError(f"'prompt_ids' must be a list of token ids, got {_show(value)}")
    if not value:
        raise _LineError("'prompt_ids' is empty")
    return value


def _max_new_tokens(record: dict[str, Any]) -> int | None:
    for near in difflib.get_close_matches("max_new_tokens", record.keys(), cutoff=0.75):
        if near != "max_new_tokens":
            raise _LineError(f"unknown key '{near}': did you mean 'max_new_tokens'?")
    value = record.get("max_new_tokens")
    if value is None:
        return None
    if not _is_count(value) or value < 1:
        raise _LineError(f"'max_new_tokens' must be a whole number from 1, got {_show(value)}")
    return int(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _show(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

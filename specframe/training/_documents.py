"""Read training data: JSON lines, or a folder of texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from specframe._errors import InputError

SUFFIXES = (".md", ".py", ".txt")


@attrs.frozen
class Message:
    """One turn of a conversation; the turns of role "assistant" are learned."""

    role: str
    content: str


@attrs.frozen
class Document:
    """One ``text``, or one conversation of ``messages``; ``source`` is its place, for messages."""

    source: str
    text: str = ""
    messages: tuple[Message, ...] = ()


def read_documents(path: Path) -> list[Document]:
    """Read every document of a JSON-lines file, or of a folder (``*.md *.py *.txt``, recursively).

    A line is an object with ``text``, or with ``messages``: objects with ``role`` and
    ``content``, at least one of them the assistant's. Blank lines, empty files and hidden folders
    are skipped. Raises ``InputError`` for a missing path, one without text, and the first bad
    line, named with its file.
    """
    if path.is_dir():
        documents = list(_read_folder(path))
    elif path.is_file():
        documents = list(_read_lines(path))
    else:
        raise InputError(f"There is no training data at {path}; give a file or a folder.")
    if not documents:
        wanted = f"*{' *'.join(SUFFIXES)} files" if path.is_dir() else "JSON lines"
        raise InputError(f"{path} holds no text to train on; it should hold {wanted}.")
    return documents


def _read_folder(folder: Path) -> Iterator[Document]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in name.parts)
        if path.suffix not in SUFFIXES or is_hidden or not path.is_file():
            continue
        text = _decode(path.read_bytes(), str(path))
        if text.strip():
            yield Document(str(path), text=text)


def _read_lines(path: Path) -> Iterator[Document]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            source = f"{path}, line {number}"
            text = _decode(line, source)
            if text.strip():
                yield _parse(text, source)


def _decode(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: this is not UTF-8 text; convert or remove it.") from error


def _parse(line: str, source: str) -> Document:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise InputError(f"{source}: this is not JSON ({error}).") from error
    if not isinstance(record, dict) or ("text" in record) == ("messages" in record):
        raise InputError(f"{source}: give an object with either `text` or `messages`.")
    if "text" in record:
        return Document(source, text=_text_of(record, "text", source))
    return Document(source, messages=_messages_of(record["messages"], source))


def _messages_of(records: Any, source: str) -> tuple[Message, ...]:
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise InputError(
            f"{source}: `messages` must be a list of objects with `role` and `content`."
        )
    messages = tuple(
        Message(_text_of(record, "role", source), _text_of(record, "content", source))
        for record in records
    )
    if not any(message.role == "assistant" for message in messages):
        raise InputError(f"{source}: no message is the assistant's, so there is nothing to learn.")
    return messages


def _text_of(record: dict[str, Any], key: str, source: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{source}: `{key}` must be a text that is not empty.")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise InputError(f"{source}: `{key}` holds half a surrogate pair, which is no text.")
    return value

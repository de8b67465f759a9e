"""Read a file of reference documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from specframe import InputError, Target


def read_documents(path: Path, target: Target) -> list[list[int]]:
    """Return a file's documents as token ids of the target's model.

    A ``.jsonl`` file has a list of token ids a line, each a document; any other is one document of
    text. Raises InputError in one sentence.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"option 'reference' of strategy 'prompt-lookup' names '{path}', which cannot be read "
            f"as UTF-8 text: {error}"
        ) from error
    is_listed = path.suffix == ".jsonl"
    documents = _listed(path, text) if is_listed else [_tokenised(path, text, target)]
    _refuse_unknown_tokens(path, documents, target.engine.vocab_size)
    return documents


def _listed(path: Path, text: str) -> list[list[int]]:
    documents = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        ids = _parsed(line)
        if not isinstance(ids, list) or not all(type(token) is int for token in ids):
            raise InputError(
                f"line {number} of '{path}', the reference of strategy 'prompt-lookup', must be a "
                f"JSON list of token ids, got {line[:60]!r}"
            )
        documents.append(ids)
    return documents


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _tokenised(path: Path, text: str, target: Target) -> list[int]:
    tokenizer: Any = target.origin.tokenizer
    if tokenizer is None:
        raise InputError(
            f"'{path}', the reference of strategy 'prompt-lookup', is text and "
            f"'{target.origin.name}' came without a tokenizer: give a .jsonl file with a list of "
            "token ids a line, or tokenizer="
        )
    # A text longer than the context is no mistake here, so the tokenizer need not warn.
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def _refuse_unknown_tokens(path: Path, documents: list[list[int]], vocab_size: int) -> None:
    for number, document in enumerate(documents, start=1):
        for token in document:
            if not 0 <= token < vocab_size:
                raise InputError(
                    f"document {number} of '{path}', the reference of strategy 'prompt-lookup', "
                    f"holds token {token}, and the model knows 0 to {vocab_size - 1} only"
                )

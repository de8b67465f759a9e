"""The prompts of ``specframe bench``: Spec-Bench's questions, our JSON lines, the bundled ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specframe._errors import InputError
from specframe.cli._prompt_file import parse_line

if TYPE_CHECKING:
    from specframe.bench import BenchPrompt

BUNDLED, UNNAMED = "code", "prompts"  # tasks of prompts that name none


def read_bench_prompts(path: Path | None) -> list[BenchPrompt]:
    """Return the prompts of a file, or the bundled ones; empty lines are skipped.

    A line is one of Spec-Bench's questions (``question_id``, ``category``, ``turns``) or one of
    ours (``id``, ``prompt`` or ``prompt_ids``, ``task``, ``max_new_tokens``). Raises InputError
    that names the first bad line with its number.
    """
    from specframe._loading.loading import demo_prompt_file  # noqa: PLC0415 (imports torch)

    source = demo_prompt_file() if path is None else path
    task = BUNDLED if path is None else UNNAMED
    prompts: list[BenchPrompt] = []
    content = source.read_bytes().removeprefix(b"\xef\xbb\xbf")
    for number, raw in enumerate(content.split(b"\n"), 1):
        if not raw.strip():
            continue
        try:
            prompts.append(read_line(raw, task))
        except ValueError as error:
            raise InputError(f"{source}, line {number}: {error}") from error
    if not prompts:
        raise InputError(f"{source} holds no prompts")
    return prompts


def read_line(raw: bytes, task: str) -> BenchPrompt:
    """Return the prompt of a line; raises ValueError that says what is wrong."""
    try:
        record: Any = json.loads(raw)
    except (ValueError, RecursionError):
        record = None  # what is wrong with it, parse_line says
    if isinstance(record, dict) and "turns" in record:
        return question(record)
    from specframe.bench import BenchPrompt  # noqa: PLC0415 (imports torch)

    line = parse_line(raw)
    named = record.get("task", task)
    if not isinstance(named, str) or not named:
        raise ValueError(f"'task' must be a name, got {json.dumps(named)}")
    return BenchPrompt(line.id, named, (line.prompt,), line.max_new_tokens)


def question(record: dict[str, Any]) -> BenchPrompt:
    """Return one of Spec-Bench's questions; raises ValueError that says what is wrong."""
    from specframe.bench import BenchPrompt  # noqa: PLC0415 (imports torch)

    identity, category, turns = (record.get(key) for key in ("question_id", "category", "turns"))
    if isinstance(identity, bool) or not isinstance(identity, int | str):
        raise ValueError(f"'question_id' must be a number or text, got {json.dumps(identity)}")
    if not isinstance(category, str) or not category:
        raise ValueError(f"'category' must be a name, got {json.dumps(category)}")
    if not (isinstance(turns, list) and turns and all(_is_text(turn) for turn in turns)):
        raise ValueError("'turns' must be a list of texts that are not empty")
    return BenchPrompt(identity, category, tuple(turns))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)

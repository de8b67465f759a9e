"""Read a trace; what is no trace is refused, a torn last line is dropped."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from specframe._errors import InputError
from specframe._files import whole_lines
from specframe._trace.records import SCHEMA, End, Header, RoundRecord, Trace

if TYPE_CHECKING:
    import cattrs

Value = TypeVar("Value")


def read_trace(path: Path) -> Trace:
    """Return the trace that ``specframe decode --trace FILE.jsonl`` wrote; raises InputError."""
    if not path.exists():
        raise InputError(f"there is no trace {path}: write one with `specframe decode --trace`")
    lines = enumerate(whole_lines(path), 1)
    return trace_of([_parse(line, path, number) for number, line in lines], str(path))


def trace_of(records: list[Any], where: str) -> Trace:
    """Return the trace of a file's records; ``where`` names the file in errors."""
    if not records or not isinstance(records[0], dict) or records[0].get("kind") != "header":
        raise InputError(
            f"{where} is no trace: its first line should be a header; write one with "
            "`specframe decode --trace FILE.jsonl`"
        )
    if records[0].get("schema") != SCHEMA:
        raise InputError(
            f"{where} has schema {records[0].get('schema')!r} and this specframe reads schema "
            f"{SCHEMA}: use the version that wrote it"
        )
    header = _structured(records[0], Header, f"{where}, line 1")
    rounds, end = [], None
    for number, record in enumerate(records[1:], 2):
        place = f"{where}, line {number}"
        if end is not None:
            raise InputError(f"{place} follows the end of the trace: drop it")
        kind = record.get("kind") if isinstance(record, dict) else None
        if kind == "end":
            end = _structured(record, End, place)
        elif kind == "round":
            rounds.append(_structured(record, RoundRecord, place))
        else:
            raise InputError(f"{place} is damaged: it is neither a round nor the end")
    _refuse_gaps(rounds, where)
    return Trace(header, rounds, end)


def _refuse_gaps(rounds: list[RoundRecord], where: str) -> None:
    for number, round in enumerate(rounds):
        if round.round != number:
            raise InputError(f"{where} is damaged: round {number} is missing")


def _parse(line: bytes, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}, line {number} is damaged: it is no JSON") from error


def _structured(value: object, kind: type[Value], where: str) -> Value:
    try:
        return _converter().structure(value, kind)
    except Exception as error:
        raise InputError(f"{where} is damaged: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Return the innermost reason of cattrs' groups of errors, and the entry it is about."""
    place = ""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
        notes = getattr(error, "__notes__", ())
        place = f" ({notes[-1]})" if notes else place
    words = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
    return " ".join(f"{words}{place}".split())


@functools.cache
def _converter() -> cattrs.Converter:
    import cattrs  # noqa: PLC0415 (a tenth of a second)

    return cattrs.Converter()

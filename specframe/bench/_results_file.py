"""Read what a benchmark wrote; what does not fit the schema is refused in one sentence."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from specframe._errors import InputError
from specframe.bench._records import SCHEMA, BenchRound, Header, Results, Run, Summary

if TYPE_CHECKING:
    import cattrs

RESULTS = "results.json"
READABLE = (1, SCHEMA)
Value = TypeVar("Value")


def read_results(folder: Path) -> Results:
    """Return the results of a folder; raises InputError where there are none that can be read."""
    path = folder / RESULTS
    if not path.is_file():
        raise InputError(
            f"{folder} holds no finished benchmark (no {RESULTS}): name a folder that "
            "`specframe bench` has written, or continue with `specframe bench --resume`"
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        schema = found["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: it is no JSON with a schema") from error
    if schema not in READABLE:
        raise InputError(
            f"{path} has schema {schema!r} and this specframe reads schema {SCHEMA}: use the "
            "version that wrote it"
        )
    return results_of(found if schema == SCHEMA else _from_schema_1(found), str(path))


def results_of(found: dict[str, Any], where: str) -> Results:
    """Return what a results.json of today's schema holds; ``where`` names it in errors."""
    own = {"finished", "runs", "summary"}
    if missing := sorted(own - found.keys()):
        raise InputError(f"{where} is damaged: '{missing[0]}' is missing")
    header = {key: value for key, value in found.items() if key not in own}
    return Results(
        structured(header, Header, where),
        structured(found["finished"], str, where),
        structured(found["runs"], list[Run], where),
        structured(found["summary"], list[Summary], where),
    )


def structured(value: object, kind: type[Value], where: str) -> Value:
    """Return ``value``, read from JSON, as ``kind``; raises InputError for what does not fit."""
    try:
        return _converter().structure(value, kind)
    except Exception as error:
        raise InputError(f"{where} is damaged: {_reason(error)}") from error


def _from_schema_1(found: dict[str, Any]) -> dict[str, Any]:
    """Return results of schema 1 without the one key that schema 2 replaces."""
    rows = found.get("summary")
    if not isinstance(rows, list):
        return found
    kept = [
        {key: value for key, value in row.items() if key != "first_difference"}
        if isinstance(row, dict)
        else row
        for row in rows
    ]
    return found | {"summary": kept}


def _reason(error: BaseException) -> str:
    """Return the innermost reason of cattrs' groups of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    notes = " ".join(str(note) for note in getattr(error, "__notes__", ()))
    return " ".join(f"{type(error).__name__}: {error} {notes}".split())


def _strict(kind: type) -> Any:
    """Return a hook that takes a JSON value of just this kind: no text for a number."""

    def hook(value: object, _: type) -> object:
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if not fits and not (kind is float and type(value) is int):
            raise TypeError(f"expected {kind.__name__}, got {value!r}")
        return float(value) if kind is float else value  # type: ignore[arg-type]

    return hook


@functools.cache
def _converter() -> cattrs.Converter:
    import cattrs  # noqa: PLC0415 (a tenth of a second)

    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind in (int, float, str, bool):
        converter.register_structure_hook(kind, _strict(kind))
    converter.register_structure_hook(str | int, _identity)
    converter.register_structure_hook(BenchRound, _round)
    return converter


def _identity(value: object, _: Any) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"expected text or a whole number, got {value!r}")
    return value


def _round(value: object, _: Any) -> BenchRound:
    """Return a round; in JSON it is a list of three counts and three times."""
    items: list[Any] = value if isinstance(value, list) else []
    kinds = [type(item) for item in items]
    if len(items) != 6 or kinds[:3] != [int] * 3 or not set(kinds) <= {int, float}:
        raise TypeError(f"expected three counts and three times, got {value!r}")
    draft, verify, other = map(float, items[3:])
    return BenchRound(items[0], items[1], items[2], draft, verify, other)


def differences(
    record: Mapping[str, object], other: Mapping[str, object]
) -> list[tuple[str, str, str]]:
    """Return the dotted names of what differs between two nested mappings, with both values."""
    found: list[tuple[str, str, str]] = []
    for key in sorted(record.keys() | other.keys()):
        ours, theirs = record.get(key), other.get(key)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            below = differences(ours, theirs)
            found += [(f"{key}.{name}", one, another) for name, one, another in below]
        elif ours != theirs:
            found.append((key, json.dumps(ours), json.dumps(theirs)))
    return found

"""Options: attrs fields that carry help, unit and range, and the reading of ``-o key=value``.

Importing this module is cheap: cattrs is imported when the first value is read.
"""

from __future__ import annotations

import functools
import math
import os
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, Union, overload

import attrs

from specframe._errors import OptionError, SpecframeError
from specframe._words import suggestion

if TYPE_CHECKING:
    import cattrs

Class = TypeVar("Class")
_KEY = "specframe"
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
TYPE_TEXT: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
}


@attrs.frozen
class Check:
    """A range of an option: ``claim`` follows "must be a whole number ..." in messages.

    ``holds(value)`` decides; an exception counts as false when options are read.
    """

    claim: str
    holds: Callable[[Any], bool]


def at_least(least: float) -> Check:
    """Refuse values below ``least``, and NaN; for ``option(check=...)``. Raises no error itself."""
    return Check(f">= {least}", lambda value: value >= least)


def at_most(most: float) -> Check:
    """Refuse values above ``most``, and NaN; for ``option(check=...)``. Raises no error itself."""
    return Check(f"<= {most}", lambda value: value <= most)


not_negative = at_least(0)
not_nan = Check("that is not NaN", lambda value: not math.isnan(value))


@attrs.frozen
class _About:
    help: str
    unit: str | None
    check: Check | None


class OptionText(NamedTuple):
    """Describe one option in words, as ``strategies show`` prints it."""

    name: str
    type: str
    default: str
    unit: str | None
    help: str


def option(
    default: Any = attrs.NOTHING,
    *,
    help: str,
    unit: str | None = None,
    check: Check | None = None,
) -> Any:
    """Declare an option of an attrs class; without a default it has to be given.

    ``help`` is for listings, ``unit`` a word such as "tokens" or "probability". ``check`` refuses
    values out of range, however the object is made, and lets None pass. Types: int, float, bool,
    str, Path, Literal, and ``X | None``. Making the object raises OptionError for a value that
    ``check`` refuses.
    """
    meta = {_KEY: _About(help, unit, check)}
    return attrs.field(default=default, metadata=meta, validator=_validate, kw_only=True)


def _validate(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    check = attribute.metadata[_KEY].check
    if value is not None and check is not None and not check.holds(value):
        raise OptionError(f"option '{attribute.name}' must be {check.claim}, got {value!r}")


@overload
def structure_options(cls: None, values: Mapping[str, object], *, owner: str) -> None: ...
@overload
def structure_options(cls: type[Class], values: Mapping[str, object], *, owner: str) -> Class: ...
def structure_options(
    cls: type[Class] | None, values: Mapping[str, object], *, owner: str
) -> Class | None:
    """Return ``cls`` made from typed values or from strings of the command line.

    ``owner`` is its name in messages, as in "strategy 'kangaroo'". ``cls=None``: the owner takes
    no options. Raises OptionError: unknown key, wrong type, out of range, or missing.
    """
    fields = fields_of(cls)
    for key in values:
        if key not in fields:
            raise OptionError(_unknown(key, sorted(fields), owner))
    if cls is None:
        return None
    hints = typing.get_type_hints(cls)
    for name, field in fields.items():
        if field.default is attrs.NOTHING and name not in values:
            raise OptionError(f"{owner} needs option '{name}': {about(field).help}")
    chosen = {
        key: _structure(value, hints[key], fields[key], owner) for key, value in values.items()
    }
    try:
        return cls(**chosen)
    except SpecframeError:
        raise
    except (TypeError, ValueError) as error:
        raise OptionError(f"options of {owner} do not fit together: {error}") from error


def describe_options(cls: type | None) -> list[OptionText]:
    """Return the options of an options class in words, in the order of their declaration."""
    if cls is None:
        return []
    hints = typing.get_type_hints(cls)
    return [
        OptionText(
            name,
            type_text(hints[name], field),
            "needed" if field.default is attrs.NOTHING else _value_text(field.default),
            about(field).unit,
            about(field).help,
        )
        for name, field in fields_of(cls).items()
    ]


def option_values(cls: type | None) -> dict[str, tuple[str, ...]]:
    """Return each option's values as they are typed, if they are few; else an empty tuple."""
    hints = typing.get_type_hints(cls) if cls is not None else {}
    found: dict[str, tuple[str, ...]] = {}
    for name in fields_of(cls):
        plain, is_optional = without_none(hints[name])
        allowed = typing.get_args(plain) if typing.get_origin(plain) is Literal else ()
        values = ("true", "false") if plain is bool else tuple(map(str, allowed))
        found[name] = (*values, "none") if values and is_optional else values
    return found


def path_options(cls: type | None) -> list[str]:
    """Return the names of the options that take a path."""
    hints = typing.get_type_hints(cls) if cls is not None else {}
    return [name for name in fields_of(cls) if without_none(hints[name])[0] is Path]


def type_text(kind: object, field: attrs.Attribute[Any]) -> str:
    """Return what an option accepts, None included: "a whole number >= 1 or none"."""
    _, is_optional = without_none(kind)
    return _expected(kind, field) + (" or none" if is_optional else "")


def _expected(kind: object, field: attrs.Attribute[Any]) -> str:
    """Return what an option accepts, such as "a whole number >= 1"."""
    plain, _ = without_none(kind)
    if typing.get_origin(plain) is Literal:
        text = " or ".join(str(each) for each in typing.get_args(plain))
    else:
        text = TYPE_TEXT.get(plain, str(getattr(plain, "__name__", plain)))
    check = about(field).check
    return f"{text}{f' {check.claim}' if check else ''}"


def fields_of(cls: type | None) -> dict[str, attrs.Attribute[Any]]:
    """Return the fields of an options class that may be given, by name."""
    if cls is None:
        return {}
    return {field.name: field for field in attrs.fields(cls) if field.init}


def about(field: attrs.Attribute[Any]) -> _About:
    """Return what ``option`` was told of a field."""
    told: _About = field.metadata.get(_KEY, _About("", None, None))
    return told


def is_option(field: attrs.Attribute[Any]) -> bool:
    """Tell whether a field was declared by ``option``."""
    return _KEY in field.metadata


def _unknown(key: str, known: list[str], owner: str) -> str:
    if not known:
        return f"{owner} takes no options, got '{key}'"
    near = suggestion(key, known)
    return f"{owner} has no option '{key}'{near} Options: {', '.join(known)}."


def _structure(value: object, kind: object, field: attrs.Attribute[Any], owner: str) -> object:
    plain, is_optional = without_none(kind)
    if is_optional and (value is None or str(value).strip().lower() == "none"):
        return None
    check = about(field).check
    try:
        structured: object = _converter().structure(value, plain)
        fits = check is None or check.holds(structured)
    except Exception:  # noqa: BLE001 (a plug-in's own type may raise anything)
        fits = False
    if not fits:
        raise OptionError(
            f"option '{field.name}' of {owner} must be {_expected(kind, field)}, got {value!r}"
        )
    return structured


def without_none(kind: object) -> tuple[Any, bool]:
    """Return the type without ``| None``, and whether None was allowed."""
    if typing.get_origin(kind) not in (Union, types.UnionType):
        return kind, False
    members = [member for member in typing.get_args(kind) if member is not type(None)]
    is_optional = len(members) < len(typing.get_args(kind))
    return functools.reduce(lambda left, right: left | right, members), is_optional


def _value_text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)


@functools.cache
def _converter() -> cattrs.Converter:
    import cattrs  # noqa: PLC0415 (a tenth of a second that listing must not pay)

    converter = cattrs.Converter()
    for kind, read in ((int, _int), (float, _float), (bool, _bool), (str, _str), (Path, _path)):
        converter.register_structure_hook(kind, read)
    return converter


def _int(value: object, _: type) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)  # type: ignore[call-overload, no-any-return]


def _float(value: object, _: type) -> float:
    if isinstance(value, bool):
        raise ValueError(value)
    return float(value)  # type: ignore[arg-type]


def _bool(value: object, _: type) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in _TRUE | _FALSE:
        raise ValueError(value)
    return word in _TRUE


def _str(value: object, _: type) -> str:
    if not isinstance(value, str | os.PathLike):
        raise TypeError(value)
    return os.fspath(value)


def _path(value: object, _: type) -> Path:
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise TypeError(value)
    return Path(value)

"""What is wrong with an options class itself, before options are given."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any, Literal

import attrs

from specframe._plugins.options import (
    TYPE_TEXT,
    about,
    fields_of,
    is_option,
    type_text,
    without_none,
)


def refuse_broken_options(cls: type) -> None:
    """Raise ValueError for an option that nobody could give, or that refuses its own default.

    That is a fault of the options class, not of the user.
    """
    try:
        hints = typing.get_type_hints(cls)
    except Exception as error:
        raise ValueError(f"the types of {cls.__name__} cannot be read: {error}") from error
    for name, field in fields_of(cls).items():
        if not is_option(field):
            continue
        where = f"option '{name}' of {cls.__name__}"
        if name not in hints:
            raise ValueError(f"{where} has no type: write `{name}: int = option(...)`")
        plain, is_optional = without_none(hints[name])
        if plain not in TYPE_TEXT and typing.get_origin(plain) is not Literal:
            raise ValueError(
                f"{where} has a type that cannot be typed in, {hints[name]}: there are int, float, "
                "bool, str, Path, Literal and X | None"
            )
        if not _is_acceptable(field, plain, is_optional=is_optional):
            expected = type_text(hints[name], field)
            raise ValueError(f"the default of {where} must be {expected}, got {field.default!r}")


def _is_acceptable(field: attrs.Attribute[Any], plain: Any, *, is_optional: bool) -> bool:
    """Tell whether an option's default, where it has one, is a value that it accepts."""
    default, check = field.default, about(field).check
    if default is attrs.NOTHING or isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return True
    if default is None:
        return is_optional
    if typing.get_origin(plain) is Literal:
        return default in typing.get_args(plain)
    kinds = {float: (int, float), Path: (str, Path)}.get(plain, (plain,))
    is_kind = isinstance(default, kinds) and (plain is bool or not isinstance(default, bool))
    return is_kind and (check is None or check.holds(default))

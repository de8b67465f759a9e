"""What a file of settings says to one command: keys become flags, values have types."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs

from specframe._errors import InputError
from specframe._words import suggestion
from specframe.cli._flags import parse_options
from specframe.cli.config._file import ConfigFile, flattened
from specframe.cli.config._paths import from_file, is_path, is_path_option

OPTION, OPTIONS = "option", "options"  # the flag -o, and the table that replaces it
UNSAID = frozenset({"help", "config", "print_config"})
EXPECTED: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    Path: "a path in quotes",
}


@attrs.frozen
class FileSettings:
    """What a file says to a command: ``defaults`` by parameter, ``options`` for ``-o``."""

    file: ConfigFile
    command: str
    keys: Mapping[str, str]  # parameter -> the key as it is written in the file
    defaults: dict[str, Any]
    options: dict[str, str]

    def gave(self, context: Any, parameter: str) -> bool:
        """Say whether the value in force of a parameter came from the file."""
        source = context.get_parameter_source(parameter)
        return parameter in self.defaults and source is not None and source.name == "DEFAULT_MAP"

    def where(self, parameter: str) -> str:
        """Name the file, and the line that speaks of a parameter."""
        return self.file.where(self.command, self.keys.get(parameter, parameter))

    def merged(self, typed: Sequence[str] | None) -> list[str]:
        """Return ``-o`` pairs: the file's, but for those that were typed, then the typed ones."""
        given = parse_options(list(typed or ()))
        kept = {key: value for key, value in self.options.items() if key not in given}
        return [*(f"{key}={value}" for key, value in kept.items()), *(typed or ())]


def settings_of(file: ConfigFile, context: Any, commands: Sequence[str]) -> FileSettings:
    """Return what ``file`` says to the command of ``context``.

    Raises InputError, with the line where it can be told, for tables and keys that mean nothing
    and for values of another type.
    """
    command = str(context.info_name)
    table = file.table(command, commands)
    parameters = {key_of(each): each for each in settable(context)}
    options = _options(file, command, table.pop(OPTIONS, {}), parameters)
    keys: dict[str, str] = {}
    defaults: dict[str, Any] = {}
    for key, value in table.items():
        parameter = _parameter(file, command, key, parameters)
        if parameter.name in keys:
            raise InputError(
                f"{file.where(command, key)}: '{key}' and '{keys[parameter.name]}' are the same "
                "flag: keep one"
            )
        keys[parameter.name] = key
        where = file.where(command, key)
        defaults[parameter.name] = _value(where, key, value, parameter, file.path.parent)
    return FileSettings(file, command, keys, *_with_option_flag(file, command, defaults, options))


def settable(context: Any) -> list[Any]:
    """Return the parameters of a context's command that a file can set."""
    found: list[Any] = context.command.get_params(context)
    return [each for each in found if each.name not in UNSAID]


def key_of(parameter: Any) -> str:
    """Return a parameter's key: its long flag without dashes, or an argument's name."""
    longs = [flag[2:] for flag in parameter.opts if flag.startswith("--")]
    return longs[0] if longs else str(parameter.name).replace("_", "-")


def kind_of(parameter: Any) -> Any:
    """Return the type of a parameter's values, of one item where there may be several."""
    annotation = parameter.type_descriptor.annotation
    return typing.get_args(annotation)[0] if parameter.multiple else annotation


def _parameter(file: ConfigFile, command: str, key: str, parameters: Mapping[str, Any]) -> Any:
    name = key.replace("_", "-")
    if name not in parameters:
        known = sorted([*parameters, OPTIONS] if OPTION in parameters else parameters)
        raise InputError(
            f"{file.where(command, key)}: `{command}` has no flag for '{key}'"
            f"{suggestion(name, known)} Keys: {', '.join(known)}"
        )
    return parameters[name]


def _value(where: str, key: str, value: Any, parameter: Any, base: Path) -> Any:
    """Return a value as the parameter takes it; raises InputError for one of another type."""
    kind = kind_of(parameter)
    items = value if isinstance(value, list) and parameter.multiple else [value]
    for item in items:
        if not _fits(item, kind):
            several = ", or a list of that" if parameter.multiple else ""
            raise InputError(f"{where}: '{key}' must be {_expected(kind)}{several}, got {item!r}")
    found = [_placed(item, kind, parameter.metavar, base) for item in items]
    return found if parameter.multiple else found[0]


def _fits(value: object, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float)
    if kind is Path or typing.get_origin(kind) is Literal:
        return isinstance(value, str)
    return isinstance(value, kind)


def _expected(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, typing.get_args(kind)))}"
    return EXPECTED.get(kind, str(kind))


def _placed(value: Any, kind: Any, metavar: str | None, base: Path) -> Any:
    """Return a value with a relative path taken from the folder of the file."""
    if kind is Path or (metavar == "MODEL" and is_path(value, base)):
        return from_file(value, base)
    return value


def _options(
    file: ConfigFile, command: str, table: Any, parameters: Mapping[str, Any]
) -> dict[str, str]:
    """Return the table that replaces ``-o``: values as they would be typed."""
    if table and OPTION not in parameters:
        raise InputError(f"{file.where(command, OPTIONS)}: `{command}` takes no options")
    if not isinstance(table, dict):
        raise InputError(
            f"{file.where(command, OPTIONS)}: '{OPTIONS}' must be a table of KEY = VALUE, "
            f"such as [{command}.{OPTIONS}], got {table!r}"
        )
    base = file.path.parent
    typed: dict[str, str] = {}
    for key, value in flattened(table).items():
        where = file.where(command, OPTIONS, *key.split("."))
        if not isinstance(value, str | int | float):
            raise InputError(
                f"{where}: option '{key}' must be text, a number, true or false, got {value!r}"
            )
        is_placed = isinstance(value, str) and is_path_option(key, value, base)
        typed[key] = from_file(str(value), base) if is_placed else _as_typed(value)
    return typed


def _as_typed(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _with_option_flag(
    file: ConfigFile, command: str, defaults: dict[str, Any], options: dict[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Move the values of ``option``, as they would be typed, to the options of the table."""
    pairs = parse_options(defaults.pop(OPTION, None))
    if twice := sorted(pairs.keys() & options.keys()):
        raise InputError(
            f"{file.where(command, OPTION)}: option '{twice[0]}' is also in [{command}.{OPTIONS}]: "
            "keep one"
        )
    return defaults, pairs | options

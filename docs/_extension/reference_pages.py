"""Write the parts of the reference that specframe knows best: names, commands, plug-ins.

A page asks for one by a comment line, ``<!-- generated: commands -->``; the text is Markdown.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import typer
from typer.main import get_command

from specframe._plugins.component import Component, Kind, Strategy
from specframe._plugins.discovery import load_registry
from specframe._plugins.options import describe_options
from specframe.cli._app import build_app

Row = tuple[str, ...]
REQUEST = re.compile(r"^<!-- generated: (?P<what>.+) -->$", flags=re.MULTILINE)


def with_generated(text: str) -> str:
    """Return a page's text with what it asks for in the place of each request."""
    return REQUEST.sub(lambda found: "\n".join(written(found["what"])), text)


def written(what: str) -> Iterator[str]:
    """Yield the lines of one part; raises KeyError for an unknown part."""
    if what.startswith("names of "):
        return names(what.removeprefix("names of "))
    return {"commands": commands, "plugins": plugins}[what]()


def names(package: str) -> Iterator[str]:
    """Yield every public name of a package, by kind, for autodoc."""
    module = importlib.import_module(package)
    kinds: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name in module.__all__:
        kinds[kind_of(getattr(module, name))].append(name)
    for kind, members in kinds.items():
        if members:
            yield f"## {kind}\n"
        for name in members:
            yield from autodoc(package, name, KINDS[kind])


KINDS = {
    "Functions": "autofunction",
    "Contracts": "autoclass",
    "Values": "autoclass",
    "Other classes": "autoclass",
    "Errors": "autoexception",
    "Constants": "autodata",
}


def kind_of(thing: Any) -> str:
    """Return the kind under which a public name is listed."""
    if not inspect.isclass(thing):
        is_called = inspect.isroutine(thing) or (callable(thing) and hasattr(thing, "__wrapped__"))
        return "Functions" if is_called else "Constants"
    if issubclass(thing, BaseException):
        return "Errors"
    if inspect.isabstract(thing) or getattr(thing, "_is_protocol", False):
        return "Contracts"
    return "Values" if attrs.has(thing) or issubclass(thing, enum.Enum) else "Other classes"


def autodoc(package: str, name: str, directive: str) -> Iterator[str]:
    """Yield the directive that documents one name, with its members."""
    yield "```{eval-rst}"
    yield f".. {directive}:: {package}.{name}"
    if directive == "autoclass":
        yield "   :members:"
    yield "```\n"


def commands() -> Iterator[str]:
    """Yield every command of specframe: how it is called, what it does, its flags."""
    for path, command in walked("specframe", get_command(build_app())):
        yield f"## `{path}`\n"
        yield f"{inspect.getdoc(command.callback) or command.help or ''}\n"
        yield from usage(path, command)


def walked(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield a command and those below it, each with the words that call it."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from walked(f"{path} {name}", below)


def usage(path: str, command: Any) -> Iterator[str]:
    """Yield the usage line of a command and the table of its arguments and flags."""
    context = typer.Context(command, info_name=path)
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"```console\n{path} {pieces}\n```\n"
    records = [each.get_help_record(context) for each in command.get_params(context)]
    rows = [
        (code(flag.removesuffix(" <str>")), plain(about)) for flag, about in filter(None, records)
    ]
    yield from table(("flag", "what it says"), rows)


def plugins() -> Iterator[str]:
    """Yield what the built-in plug-ins register, with all options."""
    registry = load_registry()
    yield "## Strategies\n"
    for strategy in sorted(registry.strategies.values(), key=lambda each: each.name):
        drafter = registry.drafter(strategy.drafter)
        if drafter.plugin.is_built_in:
            yield from about_strategy(strategy, drafter)
    for kind, heading in KINDS_OF_PARTS.items():
        yield f"## {heading}\n"
        for component in registry.tables[kind].values():
            if component.plugin.is_built_in:
                yield from about_part(component)
    yield "## Model families\n"
    families = [each.name for each in registry.families.values() if each.plugin.is_built_in]
    yield ", ".join(map(code, sorted(families))) + "\n"


KINDS_OF_PARTS: dict[Kind, str] = {
    "verifier": "Verifiers",
    "stop policy": "Stop policies",
    "trainer": "Trainers",
}
PREFIXES: dict[Kind, str] = {"verifier": "verifier.", "stop policy": "stop."}


def about_strategy(strategy: Strategy, drafter: Component) -> Iterator[str]:
    """Yield a strategy: what it does, its parts, its drafter's options."""
    yield f"### `{strategy.name}`\n"
    verifier = f"`{strategy.verifier}`" if strategy.verifier else "by temperature"
    yield f"{plain(strategy.summary or drafter.summary)}. Drafter `{strategy.drafter}`, stop policy"
    yield f"`{strategy.stop_policy}`, verifier {verifier}.\n"
    yield from options(drafter, "")


def about_part(component: Component) -> Iterator[str]:
    """Yield a verifier, a stop policy or a trainer with its options."""
    yield f"### `{component.name}`\n"
    yield f"{plain(component.summary)}.\n"
    yield from options(component, PREFIXES.get(component.kind, ""))


def options(component: Component, prefix: str) -> Iterator[str]:
    """Yield the options of a component, named as ``-o`` wants them."""
    rows = [
        (
            code(f"{prefix}{option.name}"),
            plain(option.type),
            code(option.default),
            option.unit or "",
            plain(option.help),
        )
        for option in describe_options(component.options)
    ]
    yield from table(("option", "takes", "default", "unit", "what it does"), rows)


def table(header: Row, rows: Sequence[Row]) -> Iterator[str]:
    """Yield a Markdown table, or nothing where there are no rows."""
    if rows:
        yield f"| {' | '.join(header)} |"
        yield f"|{' --- |' * len(header)}"
        yield from (f"| {' | '.join(row)} |" for row in rows)
        yield ""


def code(text: str) -> str:
    """Return text as code within a table."""
    return f"`{text.replace('|', chr(92) + '|')}`"


def plain(text: str) -> str:
    """Return text that Markdown shows unchanged, but for code between backticks."""
    parts = text.split("`")
    shown = [
        part if at % 2 else re.sub(r"([\\*_\[\]<>|{}#])", r"\\\1", part)
        for at, part in enumerate(parts)
    ]
    return "`".join(shown)

"""``specframe strategies``: what there is, without importing torch."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from specframe import _defaults
from specframe._plugins.discovery import load_registry
from specframe._plugins.options import describe_options
from specframe.cli import _completions
from specframe.cli._display import is_terminal, say, wants_colour

if TYPE_CHECKING:
    from specframe._plugins.component import Component, Strategy
    from specframe._plugins.plugin_info import PluginInfo

Cells = tuple[str, ...]
strategies = typer.Typer(help="List the strategies, or show one.", invoke_without_command=True)


@strategies.callback()
def list_strategies(context: typer.Context) -> None:
    """List the strategies, or show one."""
    if context.invoked_subcommand is not None:
        return
    registry = load_registry()
    print_table(
        ("strategy", "drafter", "stop policy", "verifier", "plug-in", "summary"),
        [strategy_row(strategy) for _, strategy in sorted(registry.strategies.items())],
    )


def strategy_row(strategy: Strategy) -> Cells:
    """Return a strategy as a row of the table."""
    verifiers = load_registry().verifiers
    verifier = " / ".join(
        verifiers[name].label if name in verifiers else name for name in verifiers_of(strategy)
    )
    owner = strategy.plugin.name if strategy.plugin else ""
    return strategy.name, strategy.drafter, strategy.stop_policy, verifier, owner, strategy.summary


def verifiers_of(strategy: Strategy) -> tuple[str, ...]:
    """Return the strategy's own verifier, or the default ones: at temperature 0, and above."""
    if strategy.verifier is not None:
        return (strategy.verifier,)
    return _defaults.VERIFIER, _defaults.SAMPLING_VERIFIER


@strategies.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="name of a strategy", autocompletion=_completions.strategies
        ),
    ],
) -> None:
    """Show a strategy: its parts, what it guarantees, and its options."""
    registry = load_registry()
    strategy = registry.strategy(name)
    drafter = registry.drafter(strategy.drafter)
    policy = registry.stop_policy(strategy.stop_policy)
    verifiers = [registry.verifier(each) for each in verifiers_of(strategy)]
    say(f"{strategy.name}: {strategy.summary}\n")
    print_table(
        ("part", "name", "what it does", "plug-in"),
        [("strategy", strategy.name, strategy.summary, owner_of(strategy.plugin))]
        + [part_row(part) for part in (drafter, policy, *verifiers)],
    )
    say("\noptions, given as -o NAME=VALUE")
    print_table(
        ("name", "default", "unit", "takes", "help"),
        option_rows(drafter, "")
        + option_rows(policy, "stop.")
        + [row for each in verifiers for row in option_rows(each, "verifier.")],
    )


def part_row(part: Component) -> Cells:
    """Return a part of a strategy as a row of the table."""
    return part.kind, part.label, part.summary, owner_of(part.plugin)


def owner_of(plugin: PluginInfo | None) -> str:
    """Return a plug-in with its distribution and version."""
    return f"{plugin.name} ({plugin.distribution} {plugin.version})" if plugin else ""


def option_rows(part: Component, prefix: str) -> list[Cells]:
    """Return the options of a part as rows, named as ``-o`` wants them."""
    return [
        (f"{prefix}{option.name}", option.default, option.unit or "", option.type, option.help)
        for option in describe_options(part.options)
    ]


def print_table(header: Cells, rows: list[Cells]) -> None:
    """Print rows: as a table for people, as aligned plain lines into a pipe."""
    if is_terminal(sys.stdout):
        print_rich_table(header, rows)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())


def print_rich_table(header: Cells, rows: list[Cells]) -> None:
    """Print rows as a table that fits the terminal."""
    from rich import box  # noqa: PLC0415 (a pipe does without)
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in header:
        table.add_column(name)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(no_color=not wants_colour(sys.stdout)).print(table)

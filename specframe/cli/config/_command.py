"""``-c FILE`` and ``--print-config``: a file instead of flags, for any command.

A file's values fill typer's map of defaults. The file is checked against the command's own
parameters, so a new flag needs nothing more; values pass through the same converters as typed ones,
and what is typed wins.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from specframe._errors import InputError
from specframe.cli._display import say
from specframe.cli._exit_code import FINE

if TYPE_CHECKING:
    from specframe.cli.config._settings import FileSettings

READ, PRINT = "specframe.config", "specframe.print_config"  # keys of a context's ``meta``


class Configured:
    """A command whose flags may come from a file; the classes below mix it into typer's.

    The file fills typer's map of defaults, so the command line wins and values pass the same
    checks. Options (``-o``) are merged key by key.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the command's own parameters and the two of configuration."""
        own: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        return [*own[:-1], *config_flags(), *own[-1:]]  # --help comes last

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what was typed over what the file says."""
        try:
            rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        except typer.BadParameter as error:
            raise blaming_file(error, ctx) from error
        if (settings := settings_in(ctx)) and settings.options:
            ctx.params["option"] = settings.merged(ctx.params.get("option"))
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command, or print how it would be run."""
        if not ctx.meta.get(PRINT):
            return super().invoke(ctx)  # type: ignore[misc]
        from specframe.cli.config._print_config import config_text  # noqa: PLC0415 (rarely needed)

        say(config_text(ctx))
        return FINE


class ConfiguredCommand(Configured, TyperCommand):
    """A command whose flags may come from a file."""


class ConfiguredGroup(Configured, TyperGroup):
    """A command with commands below it, and flags that may come from a file."""


def read_config(context: typer.Context, value: Path | None) -> Path | None:
    """Take the defaults of the command from the file, before any other flag is read."""
    if value is not None:
        from specframe.cli.config._file import ConfigFile  # noqa: PLC0415 (rarely needed)
        from specframe.cli.config._settings import settings_of  # noqa: PLC0415

        root: Any = context.find_root().command
        commands = getattr(root, "commands", {})
        known = [name for name, each in commands.items() if isinstance(each, Configured)]
        settings = settings_of(ConfigFile.read(value), context, known)
        context.default_map = settings.defaults
        context.meta[READ] = settings
    return value


def note_printing(context: typer.Context, value: bool) -> bool:  # noqa: FBT001 (typer's signature)
    """Remember that the configuration is asked for; it is known once all flags are read."""
    context.meta[PRINT] = value
    return value


def settings_in(context: Any) -> FileSettings | None:
    """Return what a file says in this call, or None."""
    settings: FileSettings | None = context.meta.get(READ)
    return settings


def blaming_file(error: typer.BadParameter, context: Any) -> Exception:
    """Return an error that names the line of the file, if the bad value came from there."""
    settings, name = settings_in(context), getattr(error.param, "name", None)
    if settings is None or name is None or not settings.gave(context, name):
        return error
    return InputError(f"{settings.where(name)}: {error.format_message()}")


def takes_flags(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE.toml",
            help="flags from a file; those on the command line win",
            is_eager=True,
            expose_value=False,
            callback=read_config,
        ),
    ] = None,
    print_config: Annotated[
        bool,
        typer.Option(
            "--print-config",
            help="print all flags in force as such a file and end",
            expose_value=False,
            callback=note_printing,
        ),
    ] = False,
) -> None:
    """Declare the two flags."""


@functools.cache
def config_flags() -> Sequence[Any]:
    """Return the two flags as typer's parameters, which all commands share."""
    app = typer.Typer(add_completion=False)
    app.command()(takes_flags)
    return tuple(get_command(app).params)

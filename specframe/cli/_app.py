"""The app: commands of specframe and of plug-ins; every error becomes one sentence."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_command_name, get_group

from specframe._debug import is_debugging
from specframe._errors import PluginError, SpecframeError, UnknownNameError
from specframe._machine import version_of
from specframe._plugins.discovery import load_plugins
from specframe._plugins.source_lines import line_in, raiser
from specframe._words import cause
from specframe.cli import _plugins, _startup, _strategies
from specframe.cli._check import check
from specframe.cli._completions import shells
from specframe.cli._decode import decode
from specframe.cli._display import say, tell
from specframe.cli._doctor import doctor
from specframe.cli._exit_code import FAULT, FINE, INTERRUPTED
from specframe.cli._new import new
from specframe.cli._trace import trace
from specframe.cli._train import train
from specframe.cli.bench._command import bench
from specframe.cli.config._command import ConfiguredCommand

if TYPE_CHECKING:
    from specframe._plugins.discovery import Member
    from specframe._plugins.registry import Registry


ASKING_SHELL = "_SPECFRAME_COMPLETE"  # set by the scripts in shells/
SHELL_FLAGS = ("--install-completion", "--show-completion")  # their value may be left out


class Commands(TyperGroup):
    """A group that ends without a traceback on Ctrl-C or when the reader of a pipe is gone."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what comes before a command; a flag about completion may end the line."""
        this_shell = [""] if args and args[-1] in SHELL_FLAGS else []
        return super().parse_args(ctx, [*args, *this_shell])

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            returned = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FINE
        except KeyboardInterrupt:
            tell("interrupted")
            return INTERRUPTED
        return returned


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``specframe`` and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return run(list(sys.argv[1:] if arguments is None else arguments) or ["--help"])
    except KeyboardInterrupt:
        tell("interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 (a traceback helps nobody who did not ask for it)
        if is_debugging():
            traceback.print_exc()
        tell(f"error: {message_of(error)}")
        return FAULT
    finally:
        _startup.end()


def run(arguments: list[str]) -> int:
    """Run the app and return the exit code; raises what goes wrong."""
    command = get_command(build_app())
    if shell := os.environ.get(ASKING_SHELL):
        from specframe.cli import _shell_completion  # noqa: PLC0415 (a shell's question)

        sys.stdout.write(_shell_completion.reply(command, shell))
        return FINE
    returned = command.main(arguments, prog_name="specframe", standalone_mode=False)
    return returned if isinstance(returned, int) else FINE


def message_of(error: Exception) -> str:
    """Return the one sentence about an error."""
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        hint = f" (see: {context.command_path} --help)" if context else ""
        message = " ".join(error.format_message().split()).replace("Value error, ", "")
        return f"{message.removesuffix('.')}{hint}"
    if isinstance(error, typer.Abort):
        return "aborted"
    if isinstance(error, UnknownNameError) and error.broken:
        return f"{error.message} It may be in a plug-in that is broken: see the warning above."
    if isinstance(error, SpecframeError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    return _of_a_plugin(error) or (
        f"unexpected {type(error).__name__}: {error} (a fault of specframe or of a plug-in; "
        "SPECFRAME_DEBUG=1 shows where)"
    )


def _of_a_plugin(error: Exception) -> str:
    """Return the message about what a plug-in's own command raised; empty if none did."""
    plugin = raiser(error, load_plugins().registry.plugins)
    if plugin is None:
        return ""
    return str(plugin.fault(f"raised at {line_in(error, plugin.package)}: {cause(error)}"))


def build_app() -> typer.Typer:
    """Return the app with the commands of all plug-ins."""
    app = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(start)
    app.command(cls=ConfiguredCommand)(decode)
    app.add_typer(_strategies.strategies, name="strategies")
    app.command()(_plugins.plugins)
    app.command(cls=ConfiguredCommand)(train)
    app.command(cls=ConfiguredCommand)(check)
    app.command(cls=ConfiguredCommand)(doctor)
    app.command(cls=ConfiguredCommand)(new)
    app.add_typer(bench, name="bench")
    app.add_typer(trace, name="trace")
    plugins = load_plugins()
    taken = names_of(app)
    for member in plugins.members:
        try:
            taken |= add_commands(app, member, taken)
        except PluginError as problem:
            plugins.registry.problems.append(problem)
    return app


def names_of(app: typer.Typer) -> set[str]:
    """Return the names of an app's commands without building them, which takes a while."""
    commands = {
        each.name or get_command_name(each.callback.__name__)
        for each in app.registered_commands
        if each.callback
    }
    return commands | {str(each.name) for each in app.registered_groups}


def add_commands(app: typer.Typer, member: Member, taken: set[str]) -> set[str]:
    """Add a plug-in's commands and return their names, or raise PluginError and add none.

    They are built on a separate app first: a command that cannot be built, or that takes the name
    of another, would break every other command.
    """
    theirs = typer.Typer()
    member.call("specframe_register_commands", app=theirs)
    if not (theirs.registered_commands or theirs.registered_groups):
        return set()
    try:
        new = set(get_group(theirs).commands)
    except Exception as error:
        raise member.plugin.fault(f"adds a command that cannot be built: {cause(error)}") from error
    if clash := sorted(new & taken):
        raise member.plugin.fault(f"adds command '{clash[0]}', which there is already")
    app.registered_commands += theirs.registered_commands
    app.registered_groups += theirs.registered_groups
    return new


def print_version(context: typer.Context, wanted: bool) -> None:  # noqa: FBT001 (typer's signature)
    """Print the version and end, if it was asked for."""
    if wanted and not context.resilient_parsing:
        say(f"specframe {version_of('specframe') or 'unknown'}")
        raise typer.Exit


def show_completion(context: typer.Context, value: str | None) -> None:
    """Print a shell's script and end, if it was asked for."""
    if value is not None and not context.resilient_parsing:
        from specframe.cli import _shell_completion  # noqa: PLC0415 (rarely needed)

        say(_shell_completion.script(_shell_completion.shell_named(value)).rstrip())
        raise typer.Exit


def install_completion(context: typer.Context, value: str | None) -> None:
    """Install a shell's script and end, if it was asked for."""
    if value is not None and not context.resilient_parsing:
        from specframe.cli import _shell_completion  # noqa: PLC0415 (rarely needed)

        shell = _shell_completion.shell_named(value)
        path = _shell_completion.install(shell)
        say(f"{shell} completes specframe by {path}; a new shell will")
        raise typer.Exit


def start(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 (its callback reads it)
        bool,
        typer.Option(
            "--version", callback=print_version, is_eager=True, help="print the version and end"
        ),
    ] = False,
    install_completion: Annotated[  # noqa: ARG001 (its callback reads it)
        str | None,
        typer.Option(
            SHELL_FLAGS[0],
            metavar="[SHELL]",
            callback=install_completion,
            is_eager=True,
            help="let a shell complete commands, flags and names, and end",
            autocompletion=shells,
        ),
    ] = None,
    show_completion: Annotated[  # noqa: ARG001 (its callback reads it)
        str | None,
        typer.Option(
            SHELL_FLAGS[1],
            metavar="[SHELL]",
            callback=show_completion,
            is_eager=True,
            help="print the script for that and end",
            autocompletion=shells,
        ),
    ] = None,
) -> None:
    """Decode language models faster without changing what they say."""
    if context.invoked_subcommand != "plugins":  # which shows them itself
        tell_problems(load_plugins().registry)


def tell_problems(registry: Registry) -> None:
    """Warn once of each plug-in that is broken or unwise; the command runs without it."""
    for problem in registry.problems:
        if is_debugging():
            traceback.print_exception(problem)
        tell(f"warning: {problem}")
    for warning in registry.warnings:
        tell(f"warning: {warning}")

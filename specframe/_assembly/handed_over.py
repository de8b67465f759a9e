"""A part that is given instead of named must be an instance, and has its options already."""

from __future__ import annotations

from collections.abc import Mapping

from specframe._errors import InputError, OptionError


def refuse_options_of_instance(options: Mapping[str, object], kind: str) -> None:
    """Raise OptionError if options are given for a part that is already made."""
    if options:
        raise OptionError(
            f"options {', '.join(sorted(options))} were given together with a {kind} that is "
            "already made: give them to its constructor"
        )


def refuse_other_class(given: object, wanted: type, argument: str) -> None:
    """Raise InputError for anything but a name or an instance of the contract's class."""
    if not isinstance(given, wanted):
        hint = f", not its class: make one, {given.__name__}()" if isinstance(given, type) else ""
        raise InputError(
            f"{argument} takes a registered name or a specframe.{wanted.__name__}{hint}; "
            f"got {given!r}"
        )

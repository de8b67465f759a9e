"""Registered parts by name: what compositions are made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from specframe._errors import OptionError
from specframe._plugins.discovery import load_registry
from specframe._plugins.options import structure_options

if TYPE_CHECKING:
    from specframe._contracts.drafter import Drafter
    from specframe._contracts.stop_policy import StopPolicy


@attrs.frozen
class NamedPart:
    """Hold a registered name with options, as they were typed."""

    name: str
    options: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def read(cls, text: str) -> NamedPart:
        """Read ``name:key=value:key=value``; a piece without "=" belongs to the value before it.

        Raises OptionError for an option that has no name or comes twice.
        """
        name, *pieces = text.strip().split(":")
        pairs: list[str] = []
        for piece in pieces:
            if "=" in piece:
                pairs.append(piece)
            elif pairs:  # a path such as C:\model
                pairs[-1] += f":{piece}"
            else:
                raise OptionError(
                    f"'{text}' is no name with options: write {name}:KEY=VALUE, got '{piece}'"
                )
        options: dict[str, str] = {}
        for pair in pairs:
            key, _, value = pair.partition("=")
            if not key or key in options:
                raise OptionError(f"'{text}' gives option '{key}' twice or without a name")
            options[key] = value
        return cls(name, options)


def named_parts(text: str) -> list[NamedPart]:
    """Read names joined by "+", each with its own options: ``prompt-lookup:steps=4+kangaroo``."""
    parts = [NamedPart.read(part) for part in text.split("+")]
    if not all(part.name for part in parts):
        raise OptionError(f"'{text}' has an empty name: join names by '+', such as 'a+b:key=value'")
    return parts


def build_drafter(
    name: str, options: Mapping[str, object] | None = None, *, for_testing: bool = False
) -> Drafter:
    """Return a new drafter that is registered under ``name``; ``options`` are as ``-o`` takes them.

    ``for_testing``: as its class's ``for_testing`` makes it, for targets that no files fit.
    Raises UnknownNameError or OptionError.
    """
    component = load_registry().drafter(name)
    made = structure_options(component.options, options or {}, owner=f"drafter '{name}'")
    if for_testing:
        tested: Drafter = component.load().for_testing(made)
        return tested
    drafter: Drafter = component.build(made)
    return drafter


def build_stop_policy(
    name: str,
    options: Mapping[str, object] | None = None,
    *,
    suggested: Mapping[str, object] | None = None,
) -> StopPolicy:
    """Return a new stop policy that is registered under ``name``.

    ``suggested`` gives values for options that the policy has and ``options`` does not name; others
    are passed over. Raises UnknownNameError or OptionError.
    """
    component = load_registry().stop_policy(name)
    cls: Any = component.options
    known = {field.name for field in attrs.fields(cls)} if cls else set()
    fitting = {key: value for key, value in (suggested or {}).items() if key in known}
    values = {**fitting, **(options or {})}
    made = structure_options(cls, values, owner=f"stop policy '{name}'")
    policy: StopPolicy = component.build(made)
    return policy

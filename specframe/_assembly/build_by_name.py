"""Registered parts by name: the parts of compositions."""

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
    """Hold a part's name and its options, as they were typed.

    ``options`` maps the part's own option names to text: keys as ``-o`` takes them, unprefixed.
    """

    name: str
    options: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def read(cls, text: str) -> NamedPart:
        """Read ``name:key=value:key=value``; a piece without "=" belongs to the value before it.

        Raises OptionError for an option without a name or given twice. Whether the names exist is
        not checked.
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
    """Read names joined by "+", each with its own options: ``prompt-lookup:steps=4+kangaroo``.

    Raises OptionError for an empty name, and as ``NamedPart.read`` does.
    """
    parts = [NamedPart.read(part) for part in text.split("+")]
    if not all(part.name for part in parts):
        raise OptionError(f"'{text}' has an empty name: join names by '+', such as 'a+b:key=value'")
    return parts


def build_drafter(
    name: str, options: Mapping[str, object] | None = None, *, for_testing: bool = False
) -> Drafter:
    """Return a new drafter that is registered under ``name``.

    ``options``: keys and values as ``-o`` takes them, without prefixes. ``for_testing``: made by
    its class's ``for_testing``, for targets without files that fit. Raises UnknownNameError;
    OptionError; PluginError if the drafter cannot be imported or built.
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

    ``options``: keys and values as ``-o`` takes them, without ``stop.``. ``suggested`` has the
    same keys: its values count for options of the policy that ``options`` does not name, others are
    ignored. Raises UnknownNameError; OptionError; PluginError if the policy cannot be imported or
    built.
    """
    component = load_registry().stop_policy(name)
    cls: Any = component.options
    known = {field.name for field in attrs.fields(cls)} if cls else set()
    fitting = {key: value for key, value in (suggested or {}).items() if key in known}
    values = {**fitting, **(options or {})}
    made = structure_options(cls, values, owner=f"stop policy '{name}'")
    policy: StopPolicy = component.build(made)
    return policy

"""Names and options as they are typed: which part gets which, and whether they fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from specframe._errors import OptionError
from specframe._plugins.options import structure_options

if TYPE_CHECKING:
    from specframe._plugins.component import Component
    from specframe._plugins.registry import Registry

Options = dict[str, object]


def sorted_options(options: Mapping[str, object]) -> tuple[Options, Options, Options]:
    """Sort options by prefix: the strategy's own, the verifier's, the stop policy's."""
    own: Options = {}
    prefixed: dict[str, Options] = {"verifier": {}, "stop": {}}
    for key, value in options.items():
        prefix, dot, name = key.partition(".")
        if dot and prefix not in prefixed:
            raise OptionError(
                f"option '{key}': only 'verifier.' and 'stop.' can stand before a dot"
            )
        if dot:
            prefixed[prefix][name] = value
        else:
            own[key] = value
    return own, prefixed["verifier"], prefixed["stop"]


def refuse_without_verifier(options: Options) -> None:
    """Raise OptionError for options of a verifier if none is named."""
    if options:
        raise OptionError(
            f"options {', '.join(f'verifier.{name}' for name in sorted(options))} were given "
            "and no verifier is named: name one with --verifier"
        )


def structured(component: Component, options: Options, owner: str | None = None) -> Any:
    """Return a component's options, made from what was typed; raises OptionError."""
    return structure_options(
        component.options, options, owner=owner or f"{component.kind} '{component.name}'"
    )


def check_names_and_options(
    registry: Registry,
    strategy: str,
    verifier: str | None,
    stop_policy: str | None,
    options: Mapping[str, object],
) -> None:
    """Raise UnknownNameError or OptionError for names and options that cannot be assembled.

    What a part's constructor refuses shows when it is built, which may import torch.
    """
    own, for_verifier, for_stop = sorted_options(options)
    bundle = registry.strategy(strategy)
    structured(registry.drafter(bundle.drafter), own, f"strategy '{strategy}'")
    verifier = verifier or bundle.verifier
    if verifier is None:
        refuse_without_verifier(for_verifier)
    else:
        structured(registry.verifier(verifier), for_verifier)
    structured(registry.stop_policy(stop_policy or bundle.stop_policy), for_stop)

"""From names and options to the parts of a strategy, before a model is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from specframe import _defaults
from specframe._assembly.handed_over import refuse_options_of_instance, refuse_other_class
from specframe._assembly.parts import Parts
from specframe._assembly.stop_selection import choose_stop_policy
from specframe._assembly.verifier_selection import choose_verifier
from specframe._contracts.drafter import Drafter
from specframe._contracts.stop_policy import StopPolicy
from specframe._contracts.verifier import Verifier
from specframe._plugins.component import Component, Strategy
from specframe._plugins.option_routing import Options, sorted_options, structured
from specframe._plugins.registry import Registry


def assemble(
    registry: Registry,
    strategy: str | Drafter,
    verifier: str | Verifier | None,
    stop_policy: str | StopPolicy | None,
    options: Mapping[str, object],
) -> Parts:
    """Find and build the parts; raises UnknownNameError or OptionError before a model is read."""
    own, for_verifier, for_stop = sorted_options(options)
    bundle = registry.strategy(strategy) if isinstance(strategy, str) else _alone(strategy)
    drafter, component, chosen = _drafter(registry, strategy, bundle, own)
    return Parts(
        registry=registry,
        strategy=bundle.name,
        drafter=drafter,
        drafter_component=component,
        verifier=choose_verifier(registry, verifier, bundle.verifier, for_verifier),
        stop=choose_stop_policy(registry, stop_policy or bundle.stop_policy, for_stop),
        options=chosen,
    )


def _alone(drafter: Drafter) -> Strategy:
    """Return the strategy that a given drafter is."""
    refuse_other_class(drafter, Drafter, "strategy")
    name = type(drafter).__name__
    return Strategy(name, name, stop_policy=_defaults.STOP_POLICY)


def _drafter(
    registry: Registry, strategy: str | Drafter, bundle: Strategy, options: Options
) -> tuple[Drafter, Component | None, dict[str, Any]]:
    if not isinstance(strategy, str):
        refuse_options_of_instance(options, "drafter")
        return strategy, None, {}
    component = registry.drafter(bundle.drafter)
    chosen = structured(component, options, f"strategy '{strategy}'")
    drafter = component.build(chosen)
    if not isinstance(drafter, Drafter):
        raise component.fault(
            f"registers {type(drafter).__name__} as drafter '{component.name}', "
            "which does not derive from specframe.Drafter"
        )
    return drafter, component, {} if chosen is None else attrs.asdict(chosen)

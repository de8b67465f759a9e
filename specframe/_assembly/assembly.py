"""From names and options to a drafter, a verifier and a stop policy that fit together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from specframe import _defaults
from specframe._assembly.blame import blaming
from specframe._assembly.declarations import (
    check_drafter,
    check_policy,
    check_verifier,
    settings_of,
)
from specframe._contracts.drafter import Drafter
from specframe._contracts.stop_policy import StopPolicy
from specframe._contracts.verifier import Verifier
from specframe._errors import InputError, OptionError, PluginError
from specframe._plugins.component import Component
from specframe._plugins.option_routing import refuse_without_verifier, sorted_options, structured
from specframe._plugins.registry import Registry

if TYPE_CHECKING:
    from specframe._loading.loading import Loaded
    from specframe._target.target import Target


@attrs.frozen
class Setup:
    """Name everything that is in force in a decoder; options with their defaults resolved."""

    strategy: str
    options: dict[str, Any]
    verifier: str
    stop_policy: str
    guarantee: str
    model: str
    dtype: str
    device: str
    exact: bool


@attrs.frozen(eq=False)
class NamedVerifier:
    """Hold a verifier with its name, and where it was registered if it was.

    ``is_default``: the strategy names it, the user does not.
    """

    name: str
    verifier: Verifier
    component: Component | None = None
    is_default: bool = False


@attrs.define(eq=False)
class Parts:
    """Hold the three parts of a strategy; the stop policy is built once the drafter is ready."""

    registry: Registry
    strategy: str
    drafter: Drafter
    drafter_component: Component | None
    named_verifier: NamedVerifier | None
    stop_name: str
    stop_component: Component | None
    stop_options: dict[str, object]
    options: dict[str, Any]
    made_stop: StopPolicy | None = None

    @property
    def stop_policy(self) -> StopPolicy:
        """Return the stop policy; valid after ``prepare``."""
        assert self.made_stop is not None
        return self.made_stop

    def prepare(self, target: Target) -> None:
        """Let the drafter read its weights, then build the stop policy with what fits it."""
        with blaming(self):
            self.drafter.prepare(target)
            check_drafter(self.drafter, target.engine.num_layers)
            target.expect(self.drafter.capabilities)
            if self.stop_component is not None:
                self.made_stop = self.stop_component.build(self._stop_options(self.stop_component))
        self._check_fit()

    def verifier_at(self, temperature: float) -> NamedVerifier:
        """Return the verifier in force at a temperature: the named one, else its default."""
        named = self.named_verifier
        if named is None:
            name = _defaults.SAMPLING_VERIFIER if temperature else _defaults.VERIFIER
            return _verifier(self.registry, name, {})
        if temperature and not named.verifier.samples and named.is_default:
            return _verifier(self.registry, _defaults.SAMPLING_VERIFIER, {})
        if temperature and not named.verifier.samples:
            raise InputError(
                f"verifier '{named.name}' decodes at temperature 0 only and temperature is "
                f"{temperature}: name '{_defaults.SAMPLING_VERIFIER}', or none at all"
            )
        return named

    def setup(self, loaded: Loaded, temperature: float = 0.0) -> Setup:
        """Describe the parts on a model, as they are in force at a temperature."""
        engine = loaded.engine
        named = self.verifier_at(temperature)
        with blaming(self):
            settings = settings_of(self.drafter, "settings")
            guarantee = named.verifier.promise(is_greedy=temperature == 0)
        return Setup(
            self.strategy,
            {**self.options, **settings},
            named.name,
            self.stop_name,
            guarantee,
            loaded.origin.name,
            str(engine.dtype).removeprefix("torch."),
            str(engine.device),
            engine.exact,
        )

    def reset(self) -> None:
        """Clear what drafter and stop policy keep beyond a sequence."""
        with blaming(self):
            self.drafter.reset()
            self.stop_policy.reset()

    def _stop_options(self, component: Component) -> Any:
        """Return the user's options over those that the drafter suggests and the policy has."""
        known = (
            {field.name for field in attrs.fields(component.options)} if component.options else ()
        )
        suggested = settings_of(self.drafter, "stop_settings")
        fitting = {name: value for name, value in suggested.items() if name in known}
        try:
            return structured(component, {**fitting, **self.stop_options})
        except OptionError as error:
            if self.stop_options:  # the user's, too: they may not go together
                raise
            raise PluginError(
                f"stop_settings must return values that the stop policy takes: {error}",
                part=self.drafter,
                method="stop_settings",
            ) from error

    def _check_fit(self) -> None:
        """Refuse parts that cannot work together, before anything is decoded."""
        with blaming(self):
            check_policy(self.stop_policy, self.stop_name)
        drafter = self.drafter.capabilities
        missing = self.stop_policy.reads - drafter.shows
        if missing:
            raise InputError(
                f"stop policy '{self.stop_name}' reads {', '.join(sorted(missing))}, which drafter "
                f"'{self.strategy}' does not show: use --stop-policy {_defaults.STOP_POLICY}"
            )
        named = self.named_verifier
        if named is not None and drafter.tree and not named.verifier.trees:
            raise InputError(
                f"verifier '{named.name}' walks chains only, and drafter '{self.strategy}' drafts "
                f"trees: use --verifier {_defaults.VERIFIER}, or have it draft chains"
            )


def assemble(
    registry: Registry,
    strategy: str | Drafter,
    verifier: str | Verifier | None,
    stop_policy: str | StopPolicy | None,
    options: Mapping[str, object],
) -> Parts:
    """Find and build the parts; raises UnknownNameError or OptionError before a model is read."""
    own, for_verifier, for_stop = sorted_options(options)
    bundle = registry.strategy(strategy) if isinstance(strategy, str) else None
    drafter, component, chosen = _drafter(registry, strategy, own)
    is_named = verifier is not None
    verifier = verifier or (bundle.verifier if bundle else None)
    if verifier is None:
        refuse_without_verifier(for_verifier)
    stop_policy = stop_policy or (bundle.stop_policy if bundle else _defaults.STOP_POLICY)
    named = None if verifier is None else _verifier(registry, verifier, for_verifier)
    if named is not None and not is_named:
        named = attrs.evolve(named, is_default=True)
    stop_component, made_stop = None, None
    if isinstance(stop_policy, str):
        stop_component = registry.stop_policy(stop_policy)
        structured(stop_component, for_stop)
    else:
        made_stop = stop_policy
        _refuse_other_class(stop_policy, StopPolicy, "stop_policy")
        _refuse_options_of_instance(for_stop, "stop policy")
    return Parts(
        registry,
        strategy if isinstance(strategy, str) else type(strategy).__name__,
        drafter,
        component,
        named,
        stop_policy if isinstance(stop_policy, str) else type(stop_policy).__name__,
        stop_component,
        for_stop,
        chosen,
        made_stop,
    )


def _drafter(
    registry: Registry, strategy: str | Drafter, options: dict[str, object]
) -> tuple[Drafter, Component | None, dict[str, Any]]:
    if not isinstance(strategy, str):
        _refuse_other_class(strategy, Drafter, "strategy")
        _refuse_options_of_instance(options, "drafter")
        return strategy, None, {}
    component = registry.drafter(registry.strategy(strategy).drafter)
    chosen = structured(component, options, f"strategy '{strategy}'")
    drafter = component.build(chosen)
    if not isinstance(drafter, Drafter):
        raise component.fault(
            f"registers {type(drafter).__name__} as drafter '{component.name}', "
            "which does not derive from specframe.Drafter"
        )
    return drafter, component, _as_dict(chosen)


def _as_dict(options: Any) -> dict[str, Any]:
    return {} if options is None else attrs.asdict(options)


def _verifier(
    registry: Registry, verifier: str | Verifier, options: dict[str, object]
) -> NamedVerifier:
    if not isinstance(verifier, str):
        _refuse_other_class(verifier, Verifier, "verifier")
        check_verifier(verifier, None)
        _refuse_options_of_instance(options, "verifier")
        return NamedVerifier(type(verifier).__name__, verifier)
    component = registry.verifier(verifier)
    made: Verifier = component.build(structured(component, options))
    check_verifier(made, component)
    if (made.guarantee == "none") != component.lossy:
        raise component.fault(
            f"registers verifier '{component.name}' with lossy={component.lossy}, and its "
            f"guarantee is '{made.guarantee}'"
        )
    return NamedVerifier(verifier, made, component)


def _refuse_options_of_instance(options: Mapping[str, object], kind: str) -> None:
    if options:
        raise OptionError(
            f"options {', '.join(sorted(options))} were given together with a {kind} that is "
            "already made: give them to its constructor"
        )


def _refuse_other_class(given: object, wanted: type, argument: str) -> None:
    if not isinstance(given, wanted):
        hint = f", not its class: make one, {given.__name__}()" if isinstance(given, type) else ""
        raise InputError(
            f"{argument} takes a registered name or a specframe.{wanted.__name__}{hint}; "
            f"got {given!r}"
        )

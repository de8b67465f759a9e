"""Which verifier is in force: the named one, or the default for a temperature."""

from __future__ import annotations

import attrs

from specframe import _defaults
from specframe._assembly.declaration_checks import check_verifier
from specframe._assembly.handed_over import refuse_options_of_instance, refuse_other_class
from specframe._contracts.verifier import Verifier
from specframe._errors import InputError
from specframe._plugins.component import Component
from specframe._plugins.option_routing import Options, refuse_without_verifier, structured
from specframe._plugins.registry import Registry


@attrs.frozen(eq=False)
class NamedVerifier:
    """Hold a verifier with its name, and its component if it is registered.

    ``is_default``: the strategy names it, not the user.
    """

    name: str
    verifier: Verifier
    component: Component | None = None
    is_default: bool = False


@attrs.frozen(eq=False)
class VerifierSelection:
    """Hold the verifier that the user or the strategy names, if any."""

    registry: Registry
    named: NamedVerifier | None

    def at(self, temperature: float) -> NamedVerifier:
        """Return the verifier in force at a temperature: the named one, else the default for it.

        Raises InputError if the user names a verifier that cannot sample.
        """
        named = self.named
        if named is None:
            return self._registered(_defaults.VERIFIER if not temperature else SAMPLING)
        if not temperature or named.verifier.samples:
            return named
        if named.is_default:
            return self._registered(SAMPLING)
        raise InputError(
            f"verifier '{named.name}' decodes at temperature 0 only and temperature is "
            f"{temperature}: name '{SAMPLING}', or none at all"
        )

    def _registered(self, name: str) -> NamedVerifier:
        return build_verifier(self.registry, name, {})


SAMPLING = _defaults.SAMPLING_VERIFIER


def choose_verifier(
    registry: Registry, asked: str | Verifier | None, default: str | None, options: Options
) -> VerifierSelection:
    """Return the verifier that was asked for, else the strategy's own ``default``.

    Raises OptionError if options are given and no verifier is named.
    """
    if asked is not None:
        return VerifierSelection(registry, build_verifier(registry, asked, options))
    if default is not None:
        named = build_verifier(registry, default, options)
        return VerifierSelection(registry, attrs.evolve(named, is_default=True))
    refuse_without_verifier(options)
    return VerifierSelection(registry, None)


def build_verifier(registry: Registry, verifier: str | Verifier, options: Options) -> NamedVerifier:
    """Return a verifier by its registered name, or the given one."""
    if not isinstance(verifier, str):
        refuse_other_class(verifier, Verifier, "verifier")
        check_verifier(verifier, None)
        refuse_options_of_instance(options, "verifier")
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

"""Which stop policy was chosen; it is built last, since the drafter may suggest its options."""

from __future__ import annotations

from typing import Any

import attrs

from specframe._assembly.declaration_checks import settings_of
from specframe._assembly.handed_over import refuse_options_of_instance, refuse_other_class
from specframe._contracts.drafter import Drafter
from specframe._contracts.stop_policy import StopPolicy
from specframe._errors import OptionError, PluginError
from specframe._plugins.component import Component
from specframe._plugins.option_routing import Options, structured
from specframe._plugins.registry import Registry


@attrs.define(eq=False)
class StopSelection:
    """Hold a stop policy's name and options, and the policy once it is ``made``.

    ``component`` is None for a policy that was given as an object, which is made already.
    """

    name: str
    component: Component | None = None
    options: Options = attrs.Factory(dict)
    made: StopPolicy | None = None

    def build_for(self, drafter: Drafter) -> None:
        """Build the policy: the user's options before those that the prepared drafter suggests."""
        if self.component is not None:
            self.made = self.component.build(self._options_for(drafter, self.component))

    def _options_for(self, drafter: Drafter, component: Component) -> Any:
        known = (
            {field.name for field in attrs.fields(component.options)} if component.options else ()
        )
        suggested = settings_of(drafter, "stop_settings")
        fitting = {name: value for name, value in suggested.items() if name in known}
        try:
            return structured(component, {**fitting, **self.options})
        except OptionError as error:
            if self.options:  # the user's may be at fault: they may not fit together
                raise
            raise PluginError(
                f"stop_settings must return values that the stop policy takes: {error}",
                part=drafter,
                method="stop_settings",
            ) from error


def choose_stop_policy(
    registry: Registry, asked: str | StopPolicy, options: Options
) -> StopSelection:
    """Find a stop policy and check its options; raises UnknownNameError or OptionError."""
    if isinstance(asked, str):
        component = registry.stop_policy(asked)
        structured(component, options)
        return StopSelection(asked, component, options)
    refuse_other_class(asked, StopPolicy, "stop_policy")
    refuse_options_of_instance(options, "stop policy")
    return StopSelection(type(asked).__name__, made=asked)

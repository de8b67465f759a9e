"""The three parts of a strategy, chosen and made."""

from __future__ import annotations

from typing import Any

import attrs

from specframe import _defaults
from specframe._assembly.declaration_checks import check_drafter, check_policy
from specframe._assembly.stop_selection import StopSelection
from specframe._assembly.verifier_selection import VerifierSelection
from specframe._contracts.drafter import Drafter
from specframe._contracts.stop_policy import StopPolicy
from specframe._errors import InputError
from specframe._plugins.component import Component
from specframe._plugins.registry import Registry
from specframe._target.target import Target


@attrs.define(eq=False, kw_only=True)
class Parts:
    """Hold the parts that decode together; the stop policy is built once the drafter is ready.

    ``drafter_component`` is None for a drafter that was given as an object.
    """

    registry: Registry
    strategy: str
    drafter: Drafter
    drafter_component: Component | None
    verifier: VerifierSelection
    stop: StopSelection
    options: dict[str, Any]

    @property
    def stop_policy(self) -> StopPolicy:
        """Return the stop policy; valid after ``prepare``."""
        assert self.stop.made is not None
        return self.stop.made

    @property
    def drafter_name(self) -> str:
        """Return the drafter's own name, which need not be the strategy's."""
        component = self.drafter_component
        return component.name if component else type(self.drafter).__name__

    def prepare(self, target: Target) -> None:
        """Let the drafter read its weights, then build the stop policy with what fits it.

        Raises PluginError for a part that breaks its contract (``blaming`` names the part), and
        InputError for parts that cannot work together.
        """
        self.drafter.prepare(target)
        check_drafter(self.drafter, target.engine.num_layers)
        target.expect(self.drafter.capabilities)
        self.stop.build_for(self.drafter)
        check_policy(self.stop_policy, self.stop.name)
        self._refuse_misfits()

    def reset(self) -> None:
        """Clear what drafter and stop policy keep beyond a sequence."""
        self.drafter.reset()
        self.stop_policy.reset()

    def _refuse_misfits(self) -> None:
        capabilities = self.drafter.capabilities
        missing = self.stop_policy.reads - capabilities.shows
        if missing:
            raise InputError(
                f"stop policy '{self.stop.name}' reads {', '.join(sorted(missing))}, which drafter "
                f"'{self.drafter_name}' does not show: use --stop-policy {_defaults.STOP_POLICY}"
            )
        named = self.verifier.named
        if named is not None and capabilities.tree and not named.verifier.trees:
            raise InputError(
                f"verifier '{named.name}' walks chains only, and drafter '{self.drafter_name}' "
                f"drafts trees: use --verifier {_defaults.VERIFIER}, or have it draft chains"
            )

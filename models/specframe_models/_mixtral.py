"""Mixtral: Mistral with a mixture of experts for its feed-forward part."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import torch
from jaxtyping import Float
from torch import Tensor

from specframe_models._blocks import Map
from specframe_models._llama import MistralFamily


class MixtralFamily(MistralFamily):
    """Mixtral; router and experts always run as transformers' own modules."""

    model_types: ClassVar[frozenset[str]] = frozenset({"mixtral"})

    def refusal(self, model: Any) -> str | None:
        """Refuse the one dtype that transformers' default for experts does not run in."""
        experts = getattr(model.config, "_experts_implementation", None)
        if model.dtype == torch.float64 and experts == "grouped_mm":
            return (
                "its experts (experts_implementation 'grouped_mm') do not run in float64: take "
                "float32, or load it with experts_implementation='eager' and hand it over"
            )
        return super().refusal(model)

    def feed_forward(self, module: Any, *, owned: bool) -> Map:
        """Return router and experts without the noise that training adds."""
        return Experts(module.gate, module.experts)


@attrs.frozen(eq=False)
class Experts:
    """Send each token through the experts that the router chooses."""

    route: Any
    experts: Any

    def __call__(
        self, states: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token hidden"]:
        """Return the experts' answers, weighted."""
        rows = states.flatten(0, 1)
        _, weights, chosen = self.route(rows)
        answers: Tensor = self.experts(rows, chosen, weights)
        return answers.view_as(states)

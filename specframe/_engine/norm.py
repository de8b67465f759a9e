"""Root-mean-square norm in few operations."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


class RMSNorm:
    """Scale states to unit root mean square (Zhang and Sennrich, arXiv 1910.07467).

    Statistics are taken in float32 at least, as transformers does. Raises no error of specframe's.
    """

    def __init__(self, weight: Tensor, eps: float) -> None:
        """Scale by ``weight`` afterwards, which broadcasts against the states.

        A weight wider than the states is applied before they are rounded to their own dtype (as
        Gemma and OLMo 2 do), any other one after it (as Llama does).
        """
        self._weight = weight
        self._width = weight.shape[-1]
        wide = weight.dtype if weight.dtype == torch.float64 else torch.float32
        self._eps = torch.tensor(eps, dtype=wide, device=weight.device)

    def __call__(self, states: Float[Tensor, "*any width"]) -> Float[Tensor, "*any width"]:
        """Return the normed states in their own dtype."""
        if states.dtype == self._eps.dtype == self._weight.dtype:  # a cast to itself costs a call
            return (states * self._scale(states)).mul_(self._weight)
        wide = states.to(self._eps.dtype)
        scaled = (wide * self._scale(wide)).to(self._weight.dtype)
        return (scaled * self._weight).to(states.dtype)

    def _scale(self, wide: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        return torch.addcmul(self._eps, length, length, value=1 / self._width).rsqrt_()

"""The trained part: one linear map, and the file that holds it."""

from __future__ import annotations

from pathlib import Path

import attrs
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from specframe import AdapterError

FILE = "forecast.safetensors"
NAMES = ("from_state", "from_token", "bias")


@attrs.frozen(eq=False)
class Forecast:
    """Forecast the target's state behind a token from the one before it and the token itself.

    EAGLE (Li et al., arXiv 2401.15077) trains a decoder layer for this; here it is a linear map.
    States are those after the final norm, tokens what the target's first layer reads of them.
    """

    from_state: Float[Tensor, "hidden hidden"]
    from_token: Float[Tensor, "hidden hidden"]
    bias: Float[Tensor, " hidden"]

    def __call__(
        self, states: Float[Tensor, "batch hidden"], tokens: Float[Tensor, "batch hidden"]
    ) -> Float[Tensor, "batch hidden"]:
        """Return the state behind each token."""
        return states @ self.from_state + tokens @ self.from_token + self.bias

    def to(self, like: Tensor) -> Forecast:
        """Return the map in the dtype and on the device of ``like``."""
        return Forecast(*(getattr(self, name).to(like) for name in NAMES))


def save_forecast(forecast: Forecast, folder: Path) -> Path:
    """Write the map to ``folder``; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    save_file({name: getattr(forecast, name).contiguous() for name in NAMES}, path)
    return path


def load_forecast(folder: Path, width: int) -> Forecast:
    """Read the map for states of ``width`` that stands in ``folder``.

    Raises AdapterError for a file that is missing or damaged, or made for another width.
    """
    path = folder / FILE
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise AdapterError(
            f"{path} cannot be read ({error}): give the folder that `specframe train forecast` "
            "wrote"
        ) from error
    wanted = {"from_state": (width, width), "from_token": (width, width), "bias": (width,)}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if found != wanted:
        raise AdapterError(
            f"{path} holds {found} and not a map of states of width {width}: fit one to this model"
        )
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise AdapterError(f"{path} holds values that are not finite: fit the map anew")
    return Forecast(**tensors)

"""The trained part: one small block a token ahead, and the file that holds them."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own abbreviation)

from specframe import AdapterError

FILE = "heads.safetensors"


class Heads(nn.Module):
    """Turn the state behind a token into the states that stand one, two, ... tokens later.

    A block is x + SiLU(Wx + b), as in Medusa (Cai et al., arXiv 2401.10774, section 2.1.1). Its
    answer is read by the target's own head, where Medusa trains one for each block: that keeps the
    file small. W and b begin at 0, so that an untrained head repeats what the target says.
    """

    def __init__(self, count: int, width: int) -> None:
        """Make ``count`` blocks for states of ``width``."""
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(count))
        for weight in self.parameters():
            nn.init.zeros_(weight)

    def forward(
        self, states: Float[Tensor, "batch hidden"]
    ) -> Float[Tensor, "batch head hidden"]:
        """Return each head's state behind each of ``states``, which are normed."""
        return torch.stack([states + F.silu(block(states)) for block in self.blocks], dim=1)


def save_heads(heads: Heads, folder: Path) -> Path:
    """Write the weights to ``folder``; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    save_file({name: value.contiguous() for name, value in heads.state_dict().items()}, path)
    return path


def load_heads(path: Path, width: int) -> Heads:
    """Read the weights of heads for states of ``width``, in float32 on the CPU.

    Raises AdapterError for a file that is missing or damaged, or of another width.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise AdapterError(
            f"{path} cannot be read: give the {FILE} that `specframe train heads` wrote ({error})"
        ) from error
    heads = Heads(len(tensors) // 2, width)
    wanted = {name: value.shape for name, value in heads.state_dict().items()}
    found = {name: value.shape for name, value in tensors.items()}
    if not tensors or found != wanted:
        raise AdapterError(
            f"{path} holds no heads for states of width {width}: train heads for this model"
        )
    heads.load_state_dict({name: value.float() for name, value in tensors.items()})
    return heads

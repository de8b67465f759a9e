"""What the benchmark asks of anything that decodes."""

from __future__ import annotations

from typing import Protocol

import attrs
import torch

from specframe.bench._records import StrategyRecord, Turn


@attrs.frozen
class Draws:
    """Say how tokens are chosen, the same for all strategies."""

    temperature: float
    seed: int


class Competitor(Protocol):
    """Decode prompts in one way. Loading is over when it exists.

    ``owners`` are those in the memory ledger whose memory it uses.
    """

    record: StrategyRecord
    owners: frozenset[str]

    def reset(self) -> None:
        """Forget everything that outlives a sequence; called before each run."""

    def decode(self, prompts: list[list[int]], budgets: list[int]) -> list[Turn]:
        """Decode prompts together and return a turn for each, without text.

        ``budgets`` are the most new tokens of each. The seconds are those from handing ids over to
        holding ids, loading and text left out.
        """


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)

"""Every outcome of something random, with its probability: enumeration instead of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from specframe import Draft, Row, Rows, Scores

Value = TypeVar("Value")


class Coins:
    """Answer random questions as a script says, then always with the first possible answer."""

    def __init__(self, script: Sequence[int]) -> None:
        """Begin with probability 1."""
        self._script = script
        self.taken: list[int] = []
        self.others: list[list[int]] = []  # what else could have been answered, later ones only
        self.probability = 1.0

    def pick(self, law: Sequence[float]) -> int:
        """Return one of the answers that have mass."""
        possible = [answer for answer, mass in enumerate(law) if mass > 0]
        at = len(self.taken)
        answer = self._script[at] if at < len(self._script) else possible[0]
        self.taken.append(answer)
        self.others.append([other for other in possible if other > answer])
        self.probability *= law[answer]
        return answer


def outcomes(experiment: Callable[[Coins], Value]) -> Iterator[tuple[float, Value]]:
    """Yield the probability and the value of every way in which an experiment can go."""
    scripts: list[list[int]] = [[]]
    while scripts:
        script = scripts.pop()
        coins = Coins(script)
        value = experiment(coins)
        yield coins.probability, value
        for at in range(len(script), len(coins.taken)):
            scripts += [[*coins.taken[:at], other] for other in coins.others[at]]


class BranchingSampler:
    """Replace a Sampler: every draw is a question to ``coins``.

    The logits that a verifier hands over are taken as already warped.
    """

    is_greedy = False
    wants_q = True

    def __init__(self, coins: Coins) -> None:
        """Ask ``coins``."""
        self._coins = coins

    def warped(self, rows: Rows, draft: Draft, scores: Scores) -> Tensor:
        """Return the logits unchanged."""
        return scores.logits

    def choose(self, rows: Rows, draft: Draft, scores: Scores) -> Tensor:
        """Draw at every node from the target."""
        laws = scores.logits[0].double().softmax(dim=-1).tolist()
        return torch.tensor([[self._coins.pick(law) for law in laws]])

    def accepts(self, row: Row, node: int, draw: int, chance: float) -> bool:
        """Flip a coin that shows heads with probability ``chance``, at most 1."""
        heads = min(1.0, chance)
        return self._coins.pick([1 - heads, heads]) == 1

    def sample(self, row: Row, node: int, probs: Tensor) -> int:
        """Draw from ``probs``."""
        return self._coins.pick(probs.tolist())

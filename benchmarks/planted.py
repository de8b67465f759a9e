"""Plant acceptance: compute everything, then replace tokens so that a given share is accepted.

No drafter can guess what a model of random weights says. Here drafter and target run in full, then
every token is overwritten: the target says a text that was made up before, and the drafter guesses
its next token rightly with a given probability, drawn once for each place. Replaced values are
computed from the real ones, so that no work can be left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from specframe import Draft, Paths, Rows, Sampler, Scores, Step, StopPolicy, to_device

CONFIDENT_WHEN_RIGHT, CONFIDENT_WHEN_WRONG = 0.95, 0.2  # how good the planted confidences are


@attrs.frozen(eq=False)
class Script:
    """Hold the made-up text, where the drafter is right, and where it is confident.

    ``text[i]`` is the token at index i of the new ones, ``wrong[i]`` what an erring drafter says.
    """

    text: Tensor
    wrong: Tensor
    is_right: Tensor
    is_confident: list[bool]

    @classmethod
    def of(
        cls, acceptance: float, length: int, vocab: int, device: torch.device, seed: int = 0
    ) -> Script:
        """Draw a script in which drafts are right with probability ``acceptance``."""
        generator = torch.Generator().manual_seed(seed)
        text = torch.randint(vocab, (length,), generator=generator)
        right = torch.rand(length, generator=generator) < acceptance
        belief = torch.where(right, CONFIDENT_WHEN_RIGHT, CONFIDENT_WHEN_WRONG)
        confident = torch.rand(length, generator=generator) < belief
        wrong = (text + 1) % vocab
        return cls(text.to(device), wrong.to(device), right.to(device), confident.tolist())

    @property
    def guesses(self) -> Tensor:
        """Return what the drafter says at each index."""
        return torch.where(self.is_right, self.text, self.wrong)


class PlantedSampler(Sampler):
    """Choose as usual, then say what the script says."""

    def __init__(self, script: Script) -> None:
        """Follow ``script``, greedily."""
        super().__init__()
        self._script, self._guesses = script, script.guesses

    def first(self, rows: Rows, logits: Tensor) -> Tensor:
        """Replace the token after each prompt."""
        return self._script.text[:1] + 0 * super().first(rows, logits)

    def choose(self, rows: Rows, draft: Draft, scores: Scores) -> Tensor:
        """Replace the target's token at each node."""
        chosen = super().choose(rows, draft, scores)
        index = [
            [row.count + depth for depth in depths] + [0] * (chosen.shape[1] - len(depths))
            for row, depths in zip(rows.active, draft.depths, strict=True)
        ]
        return self._script.text[to_device(index, chosen.device)] + 0 * chosen

    def draft(self, rows: Rows, tree: Paths, node: int, logits: Tensor) -> tuple[Tensor, None]:
        """Replace the drafter's guess after a node."""
        tokens, _ = super().draft(rows, tree, node, logits)
        index = [row.count + tree.depth(place, node) for place, row in enumerate(rows.active)]
        return self._guesses[to_device(index, tokens.device)] + 0 * tokens, None

    def ranked(
        self, rows: Rows, tree: Paths, nodes: Sequence[Sequence[int]], logits: Tensor
    ) -> Tensor:
        """Put the planted guess first after every node of a tree, the others in their order."""
        index = [
            [row.count + tree.depth(place, node) for node in ids]
            for place, (row, ids) in enumerate(zip(rows.active, nodes, strict=True))
        ]
        at = to_device(index, logits.device)
        moved = logits.clone()
        # A level without the right token must not hold it by chance either.
        moved.scatter_(2, self._script.text[at][..., None], -torch.inf)
        guesses = self._guesses[at][..., None]
        return moved.scatter_(2, guesses, logits.amax(dim=-1, keepdim=True) + 4)


class PlantedStop(StopPolicy):
    """Draft ``steps`` levels; with ``script``, stop after a token that it is not confident of.

    The real confidence is computed and read, then overruled.
    """

    def __init__(self, steps: int, script: Script | None = None) -> None:
        """Draft at most ``steps`` levels."""
        self._steps, self._script = steps, script
        self._counts: list[int] = []

    def limit(self, rows: Rows) -> list[int]:
        """Return the same limit for all rows."""
        self._counts = [row.count for row in rows.active]
        return [self._steps] * len(rows)

    def after(self, step: Step) -> Tensor | None:
        """Stop where the script is not confident."""
        if self._script is None:
            return None
        confident = [self._script.is_confident[count + step.level - 1] for count in self._counts]
        return (step.confidence < 0) | ~to_device(confident, step.confidence.device)

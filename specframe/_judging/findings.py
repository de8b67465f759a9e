"""What a check found: per prompt, and as a whole."""

from __future__ import annotations

from typing import Literal

import attrs

from specframe._judging.certificate import Bounds, Certificate

Word = Literal["identical", "tie", "bug"]


@attrs.frozen
class Finding:
    """Hold what is wrong, or only seems so, with the new token at ``position`` of one prompt.

    A token is None if that side has none. ``reasons`` say why it is a bug and are empty for a tie.
    ``gap`` is by how much float64 prefers one of the tokens if there is a ``certificate``, else how
    far a token is below the choice of its own logits.
    """

    position: int
    token: int | None
    plain_token: int | None
    reasons: tuple[str, ...] = ()
    gap: float | None = None
    certificate: Certificate | None = None

    @property
    def word(self) -> Word:
        """Return the verdict in one word."""
        return "bug" if self.reasons else "tie"


@attrs.frozen
class PromptCheck:
    """Hold the outcome of one prompt; ``compared`` tokens follow equal prefixes."""

    prompt_token_ids: list[int]
    compared: int
    finding: Finding | None = None

    @property
    def word(self) -> Word:
        """Return the verdict in one word."""
        return "identical" if self.finding is None else self.finding.word


@attrs.frozen
class Report:
    """Hold the outcome of all prompts.

    ``noise`` are the deviations of the logits of agreeing tokens, smallest first; ``bounds`` is
    None if nothing had to be judged; ``reason`` says why the whole is a bug although every
    difference is a tie.
    """

    prompts: list[PromptCheck]
    noise: list[float]
    bounds: Bounds | None = None
    reason: str | None = None

    @property
    def compared(self) -> int:
        """Return how many tokens were compared after equal prefixes."""
        return sum(prompt.compared for prompt in self.prompts)

    @property
    def differences(self) -> int:
        """Return how many prompts have a finding."""
        return sum(prompt.finding is not None for prompt in self.prompts)

    @property
    def word(self) -> Word:
        """Return the verdict in one word: the worst of all."""
        words = {prompt.word for prompt in self.prompts}
        if self.reason is not None or "bug" in words:
            return "bug"
        return "tie" if "tie" in words else "identical"

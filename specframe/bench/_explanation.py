"""Why a strategy won or lost, in words: what a round costs and what it brings."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

CLOSE = 0.02  # nearer to the break-even point than this is a draw
ROUND_PARTS = ("draft", "verify", "other")
LOST = "lost"
CAUSES = {
    "draft": "drafting costs the most of what is lost",
    "verify": "a verifying pass costs that much more than a pass over one token",
    "other": "what is neither drafting nor verifying costs the most of what is lost",
}


@attrs.frozen
class Balance:
    """Hold what a round costs and brings, in tokens of plain decoding.

    ``parts`` are draft, verify and other; ``plain`` the same parts of one plain token.
    """

    parts: Mapping[str, float]
    plain: Mapping[str, float]
    brings: float
    accepted: float | None

    @property
    def needed(self) -> float:
        """Return the break-even acceptance length."""
        return sum(self.parts.values())


def explain(balance: Balance) -> str:
    """Return one sentence that says whether a round pays, and why or why not."""
    split = ", ".join(f"{part} {balance.parts[part]:.2f}" for part in ROUND_PARTS)
    weighed = (
        f"a round costs as much as {balance.needed:.2f} plain tokens ({split}) and brings "
        f"{balance.brings:.2f}"
    )
    word = won_or_lost(balance.needed, balance.brings)
    return f"{word}: {weighed}{f'; {_cause(balance)}' if word == LOST else ''}"


def explain_without_parts(needed: float, brings: float) -> str:
    """Return the sentence for a strategy that does not say where its time goes."""
    return (
        f"{won_or_lost(needed, brings)}: a round costs as much as {needed:.2f} plain tokens and "
        f"brings {brings:.2f}; transformers does not say where its time goes"
    )


def won_or_lost(needed: float, brings: float) -> str:
    """Return whether a round that brings so many tokens pays."""
    gain = brings / needed - 1 if needed else 0.0
    if abs(gain) < CLOSE:
        return "neither won nor lost"
    return "won" if gain > 0 else LOST


def reservation(ratio: float, speedup: float) -> str:
    """Return a warning where ``speedup`` and the weighed ``ratio`` are on opposite sides of 1.

    The ratio sums over all runs; the speed-up is a median over prompts of their fastest runs.
    """
    gain, shown = ratio - 1, speedup - 1
    if gain * shown >= 0 or max(abs(gain), abs(shown)) < CLOSE:
        return ""
    return (
        f"; mind that this weighs all runs together ({ratio:.2f}x), and the speed-up of "
        f"{speedup:.2f}x is the median over prompts of each one's fastest run"
    )


def _cause(balance: Balance) -> str:
    """Name what would have to change most."""
    if balance.accepted is None:
        return "nothing was drafted, so every round pays for itself alone"
    free = balance.parts["verify"] + balance.parts["other"]
    if balance.brings <= free:
        return (
            f"even drafts that cost nothing would lose, with {balance.accepted:.0%} of the drafted "
            "tokens accepted"
        )
    extras = {part: balance.parts[part] - balance.plain.get(part, 0.0) for part in ROUND_PARTS}
    return CAUSES[max(extras, key=lambda part: extras[part])]

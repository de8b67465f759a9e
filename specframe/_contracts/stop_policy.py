"""The contract of stop policies: when to stop guessing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from specframe._engine.transfer import Reading
from specframe._errors import PluginError

if TYPE_CHECKING:
    from specframe._round.round import Round
    from specframe._round.rows import Rows


@attrs.frozen(eq=False)
class Step:
    """Show a stop policy one level of drafting, always un-tempered.

    ``level`` is 1 for the children of the root; the level's tokens are chosen from ``logits``;
    ``active`` marks the rows still drafting; ``scores`` replaces the top-1 probability by a tree's
    best path score; ``hidden`` is the drafter's state from which the logits were made.
    """

    level: int
    logits: Float[Tensor, "batch vocab"]
    active: Bool[Tensor, " batch"]
    hidden: Float[Tensor, "batch hidden"] | None = None
    scores: Float[Tensor, " batch"] | None = None

    @cached_property
    def probs(self) -> Float[Tensor, "batch vocab"]:
        """Return the un-tempered draft distribution, in float32 at least."""
        dtype = torch.float64 if self.logits.dtype == torch.float64 else torch.float32
        probs: Tensor = torch.softmax(self.logits, dim=-1, dtype=dtype)
        return probs

    @cached_property
    def confidence(self) -> Float[Tensor, " batch"]:
        """Return the top-1 probability; for a tree, its best path score."""
        confidence: Tensor = self.probs.amax(dim=-1) if self.scores is None else self.scores
        return confidence

    @cached_property
    def entropy(self) -> Float[Tensor, " batch"]:
        """Return the entropy of the draft distribution, in nats."""
        entropy: Tensor = torch.special.entr(self.probs).sum(dim=-1)
        return entropy

    def admits(self, stop: StopPolicy, drafting: list[bool]) -> list[bool]:
        """Return which of the ``drafting`` rows draft this level: ``stop`` may refuse its token.

        Called once a level, before the token is chosen. Raises PluginError for an answer that is
        neither None nor a bool for each row.
        """
        refused = stop.before(self)
        expect_rows(refused, stop, "before", self)
        if refused is None:
            return drafting
        (there,) = Reading(refused).wait()
        return [on and not end for on, end in zip(drafting, there.tolist(), strict=True)]

    def ends(self, stop: StopPolicy) -> Bool[Tensor, " batch"] | None:
        """Return where ``stop`` ends drafting after this level's token, None for nowhere.

        Called once a level, after the token is chosen; on a device nothing is waited for. Raises
        PluginError for an answer that is neither None nor a bool for each row.
        """
        ended = stop.after(self)
        expect_rows(ended, stop, "after", self)
        return ended


class StopPolicy:
    """Decide when drafting stops; the defaults never stop before the drafter's own limit.

    ``reads`` names what the policy looks at: confidence, entropy, hidden, logits, probs or scores
    of Step; a drafter that cannot show it is refused at load, with an InputError. State held per
    row follows ``keep``; ``reset`` clears state that outlives a sequence. ``learns``: where it
    stops depends on earlier rounds or decodes too; ``times``: on measured times, so that the same
    decode may draft otherwise. The core raises PluginError for an answer of another form.
    """

    reads: frozenset[str] = frozenset()
    learns: bool = False
    times: bool = False

    def start(self, rows: Rows) -> None:
        """Begin a decode; called once, after the prefill."""

    def limit(self, rows: Rows) -> list[int]:
        """Return the most levels each row may draft: an int for each row, before each round."""
        return [NO_LIMIT] * len(rows)

    def before(self, step: Step) -> Bool[Tensor, " batch"] | None:
        """Say where this level's token must not be drafted; asked before it is chosen.

        The answer is on the device of ``step.active``; None means nowhere.
        """
        return None

    def after(self, step: Step) -> Bool[Tensor, " batch"] | None:
        """Say where drafting ends after this level's token, which stays in the draft.

        The answer is on the device of ``step.active``; None means nowhere.
        """
        return None

    def observe(self, rows: Rows, round: Round) -> None:
        """See a finished round; called once a round, with the rows that took part in it."""

    def keep(self, kept: list[int]) -> None:
        """Keep only the rows ``kept``, in this order."""

    def reset(self) -> None:
        """Forget what outlives a sequence."""


NO_LIMIT = 1 << 30


def limits_of(policy: StopPolicy, rows: Rows) -> list[int]:
    """Return what ``policy.limit`` answers; raise PluginError unless it is one int for each row."""
    limits: Any = policy.limit(rows)
    if not isinstance(limits, list | tuple) or len(limits) != len(rows):
        raise PluginError(
            f"limit must return one whole number for each of {len(rows)} row(s), got {limits!r}",
            part=policy,
            method="limit",
        )
    for limit in limits:
        if not isinstance(limit, int):
            raise PluginError(
                f"limit must return whole numbers, got {limit!r}", part=policy, method="limit"
            )
    return list(limits)


def expect_rows(answer: Any, policy: StopPolicy, method: str, step: Step) -> None:
    """Raise PluginError unless ``before`` or ``after`` answered None or a bool for each row."""
    is_fine = answer is None or (
        isinstance(answer, Tensor)
        and answer.dtype == torch.bool
        and answer.shape == step.active.shape
        and answer.is_cpu == step.active.is_cpu
    )
    if not is_fine:
        got = (
            f"{answer.dtype} {list(answer.shape)} on {answer.device}"
            if isinstance(answer, Tensor)
            else repr(answer)
        )
        raise PluginError(
            f"{method} must return None or a bool tensor {list(step.active.shape)} on "
            f"{step.active.device}, one for each row, got {got}",
            part=policy,
            method=method,
        )

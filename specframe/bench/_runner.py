"""Run slot after slot: every strategy on every prompt, for all repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from specframe._errors import SpecframeError
from specframe._words import cause
from specframe.bench._competitor import Competitor
from specframe.bench._journal import Journal
from specframe.bench._memory import MemoryLedger
from specframe.bench._prompts import BenchPrompt, Conversation
from specframe.bench._records import Run, StrategyRecord, Turn
from specframe.bench._run_order import Slot


class Watcher(Protocol):
    """Follow a benchmark; called outside of what is timed."""

    def note(self, message: str) -> None:
        """Hear what happens between the runs."""

    def begin(self, strategies: Sequence[StrategyRecord], total: int, done: Sequence[Run]) -> None:
        """Hear how many runs there are, and which are done already."""

    def ran(self, runs: Sequence[Run]) -> None:
        """See the runs of a slot."""

    def end(self) -> None:
        """Hear that nothing more runs; called also where it was interrupted."""

    def judged(self, done: int, total: int) -> None:
        """Hear how many differences are judged, first that none is; another ``end`` follows."""


@attrs.frozen
class Runner:
    """Play prompts with competitors, by name; those that could not be loaded are not there."""

    competitors: Mapping[str, Competitor]
    conversation: Conversation
    max_new_tokens: int
    ledger: MemoryLedger

    def run_all(self, slots: Sequence[Slot], journal: Journal, watcher: Watcher) -> None:
        """Run what is not in the journal yet."""
        done = {run.key for run in journal.runs}
        for slot in slots:
            if (slot.strategy, slot.prompts[0].id, slot.repeat) not in done:
                runs = self.run(slot)
                journal.add(runs)
                watcher.ran(runs)

    def warm_up(self, slots: Sequence[Slot], times: int) -> None:
        """Decode the first prompts with every competitor and forget it.

        A fault here shows again in the runs, where it is written down.
        """
        first = {slot.strategy: slot for slot in reversed(slots)}
        for _ in range(times):
            for slot in first.values():
                self.run(slot)

    def run(self, slot: Slot) -> list[Run]:
        """Decode the prompts of a slot; any fault becomes the error of their runs."""
        competitor = self.competitors[slot.strategy]
        error = None
        turns: list[list[Turn]] = [[] for _ in slot.prompts]
        self.ledger.mark()
        try:
            with self.ledger.booked(slot.strategy):
                competitor.reset()
                turns = self.play(competitor, slot.prompts)
        except Exception as fault:  # noqa: BLE001 (it costs this run, not the benchmark)
            error = message_of(fault)
        peak = self.ledger.peak(competitor.owners)
        return [
            Run(slot.strategy, prompt.id, slot.repeat, slot.order, own, error, peak, slot.batch)
            for prompt, own in zip(slot.prompts, turns, strict=True)
        ]

    def play(self, competitor: Competitor, prompts: Sequence[BenchPrompt]) -> list[list[Turn]]:
        """Decode turn after turn; each strategy continues from its own answers."""
        turns: list[list[Turn]] = [[] for _ in prompts]
        for number in range(max(len(prompt.turns) for prompt in prompts)):
            places = [at for at, prompt in enumerate(prompts) if number < len(prompt.turns)]
            ids = [self.ids(prompts[at], turns[at]) for at in places]
            budgets = [prompts[at].max_new_tokens or self.max_new_tokens for at in places]
            for at, turn in zip(places, competitor.decode(ids, budgets), strict=True):
                text = self.conversation.text(turn.token_ids)
                turns[at].append(attrs.evolve(turn, text=text))
        return turns

    def ids(self, prompt: BenchPrompt, turns: Sequence[Turn]) -> list[int]:
        """Return what is decoded after ``turns``."""
        return self.conversation.ids(prompt, [turn.text or "" for turn in turns])


def message_of(error: Exception) -> str:
    """Return a fault as one sentence."""
    return str(error) if isinstance(error, SpecframeError) else cause(error)

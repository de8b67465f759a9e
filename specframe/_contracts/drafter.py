"""The contract of drafters."""

from __future__ import annotations

import abc
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from specframe._contracts.stop_policy import NO_LIMIT
from specframe._errors import PluginError
from specframe._round.capabilities import Capabilities, Needs
from specframe._round.draft import Draft

if TYPE_CHECKING:
    from specframe._contracts.stop_policy import StopPolicy
    from specframe._round.rows import Rows
    from specframe._round.scores import Captured, Scores
    from specframe._round.verdict import Commit
    from specframe._sampling.sampler import Sampler
    from specframe._target.target import Target


class Drafter(abc.ABC):
    """Guess tokens; ``propose`` is the one method that a drafter must have.

    Life of a drafter: ``prepare`` once at load; then for each decode ``start`` once and, round by
    round, ``propose`` and ``update``. It writes to the target's cache through a TreeBuilder alone.
    What breaks this contract is a PluginError of the core; any other exception of a third-party
    drafter becomes one that names the plug-in and the line.
    """

    capabilities: Capabilities = Capabilities()
    needs: Needs = Needs()
    most_levels: int = NO_LIMIT
    """Most levels of one draft, whatever the stop policy says; final after ``prepare``."""

    @classmethod
    def for_testing(cls, options: object | None = None) -> Self:
        """Return a drafter that fits any target, which the conformance kit asks for.

        ``options`` is an instance of the options class it is registered with; None: the defaults.
        A drafter with weights makes random ones of the target's size in its ``prepare``.
        """
        build: Any = cls
        made: Self = build() if options is None else build(options)
        return made

    def prepare(self, target: Target) -> None:
        """Read and check weights; called once, before anything else. ``needs`` is valid after.

        Raise AdapterError for weights that do not fit, OptionError for options that do not.
        """

    def stop_settings(self) -> Mapping[str, object]:
        """Return values that fit this drafter, by option name of the stop policy.

        Called after ``prepare``. Options that the policy does not have are ignored; the user's own
        values win.
        """
        return {}

    def settings(self) -> Mapping[str, object]:
        """Return the options in force by name, defaults resolved; called after ``prepare``."""
        return {}

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        """Begin a decode; called once, after the prefill, with what ``needs`` asked of it."""

    @abc.abstractmethod
    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Return a token tree per row, at most ``row.room`` levels deep.

        Called once a round, in a composition at most once. The root alone is a legal draft, and
        the only one where the room is 0. A draft may continue after an EOS: stops are the target's
        business. ``Target.score`` raises PluginError for a malformed draft.
        """

    def discard(self, rows: Rows) -> None:
        """Take back what ``propose`` has just returned: it is not scored unchanged.

        Called right after ``propose``, and in compositions alone (``FirstDrafter``). What was
        stored for the nodes of that draft is void, the root's included.
        """

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        """See what became of the draft; called once a round, before finished rows leave.

        In a composition, where ``propose`` was not called or ``discard`` was, it is another
        drafter's draft, without an exit; ``scores.captured`` holds what ``needs`` asks for.
        """

    def keep(self, kept: list[int]) -> None:
        """Keep only the rows ``kept``, in this order."""

    def reset(self) -> None:
        """Forget what outlives a sequence."""


class SequenceDrafter(Drafter):
    """Draft a chain by looking at one sequence at a time; ``guess`` is the one method to write.

    Raises PluginError where ``guess`` does not return token ids.
    """

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Ask ``guess`` for every row that has room, and cut the answer to it."""
        guesses = [
            self._guessed(list(row.tokens), row.room)[: row.room] if row.room else []
            for row in rows.active
        ]
        return Draft.chains(rows.roots, guesses)

    def _guessed(self, tokens: list[int], room: int) -> list[int]:
        guess: Any = self.guess(tokens, room)
        try:
            return [operator.index(token) for token in guess]
        except TypeError as error:
            raise PluginError(
                f"guess must return a list of token ids, got {guess!r}", part=self, method="guess"
            ) from error

    @abc.abstractmethod
    def guess(self, tokens: list[int], room: int) -> list[int]:
        """Return the tokens that may follow ``tokens``; the first ``room`` of them are used.

        ``tokens`` is the prompt and all committed tokens. After an empty answer the target decides
        alone.
        """

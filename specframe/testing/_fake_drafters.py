"""Drafters that each break one rule, to show that the check of that rule notices.

``FAKES`` maps the name of a check to what breaks its rule.
"""

from __future__ import annotations

import random
from typing import Any

import attrs
import torch

from specframe import (
    Capabilities,
    Captured,
    Commit,
    Draft,
    Rows,
    Sampler,
    Sampling,
    Scores,
    StopPolicy,
    Target,
)
from specframe.testing._correct_drafters import EarlyExit, Echo, Fork, Learner
from specframe.testing._fake_draws import (
    BorrowsTheCoin,
    DropsTheUnlikely,
    GreedyWithSoftmaxQ,
    Lying,
    OnlyInFloat64,
)


class StaleExit(EarlyExit):
    """Hand over the states of other nodes than the draft's."""

    def finished(self, draft: Draft) -> Draft:
        """Shift the states by one node."""
        if draft.exit is None:
            return draft
        hidden = draft.exit.hidden.roll(1, dims=1)
        return attrs.evolve(draft, exit=attrs.evolve(draft.exit, hidden=hidden))


class SwitchesSampling(Echo):
    """Turn sampling off to guess better, and forget to turn it on again."""

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Draft under a sampler that is no longer the caller's."""
        sampler.sampling = Sampling()
        return super().propose(rows, stop, sampler)


class LooksBehindThePath(Echo):
    """Look at the drafted token that was refused, which is not there if none was."""

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        """Fail on a fully accepted draft."""
        for tokens, path in zip(draft.token_lists, commit.path_lists, strict=True):
            self.refused = tokens[len(path) + 1] if len(tokens) > 1 else None


class CountsOnABonus(Echo):
    """Look at the token after the path, which is not there where a stop has cut the path."""

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        """Fail on a path that was cut."""
        for tokens, path in zip(commit.token_lists, commit.path_lists, strict=True):
            self.bonus = tokens[len(path)]


class DraftsWithoutRoom(Echo):
    """Draft one token at least."""

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Take no room for room for one."""
        guesses = [self.guess(row.tokens, max(1, row.room)) for row in rows.active]
        return Draft.chains(rows.roots, guesses)


class AsksTheBudget(Echo):
    """Take the budget for the room; stop policies have nothing to say."""

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Draft as long as the text may become."""
        guesses = [
            self.guess(row.tokens, min(row.budget - 1, 9) if row.room else 0) for row in rows.active
        ]
        return Draft.chains(rows.roots, guesses)


class OutOfVocabulary(Echo):
    """Count upwards from the last token, beyond the vocabulary."""

    def guess(self, tokens: list[int], room: int) -> list[int]:
        """Return the next numbers."""
        return [tokens[-1] + 1]


class WrongRoot(Echo):
    """Leave the root out of the draft."""

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Put the first guess where the root belongs."""
        guesses = [self.guess(row.tokens, row.room + 1) for row in rows.active]
        return Draft.chains([guess[0] for guess in guesses], [guess[1:] for guess in guesses])


class BranchesInSecret(Fork):
    """Branch without saying so."""

    capabilities = Capabilities(max_nodes=5)


class Forgetful(Echo):
    """Keep its own text, and forget to take back what was refused."""

    capabilities = Capabilities(batch=False)

    def start(self, target: Any, rows: Rows, captured: Any) -> None:
        """Begin a text."""
        self._text: list[int] = []

    def guess(self, tokens: list[int], room: int) -> list[int]:
        """Continue after all that was drafted before."""
        self._text += tokens[len(self._text) :]
        found = super().guess(self._text, room)
        self._text += found
        return found


class KeepsEveryRow(Echo):
    """Remember something of each row, and never let go of rows that left."""

    def start(self, target: Any, rows: Rows, captured: Any) -> None:
        """Remember each row's first token."""
        self._firsts = [row.tokens[0] for row in rows.active]

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Guess what was remembered for the row in this place."""
        firsts = zip(rows.active, self._firsts, strict=False)
        guesses = [[first] * min(row.room, 2) for row, first in firsts]
        return Draft.chains(rows.roots, guesses)


class NeverForgets(Learner):
    """Ignore a reset."""

    def reset(self) -> None:
        """Keep everything."""


class Unseeded(Echo):
    """Guess with random numbers of the operating system's."""

    def guess(self, tokens: list[int], room: int) -> list[int]:
        """Return a token nobody can foresee."""
        return [random.SystemRandom().randrange(6)]


class SeedsGlobally(Echo):
    """Seed the random numbers that belong to everybody."""

    def guess(self, tokens: list[int], room: int) -> list[int]:
        """Return the same random tokens each time."""
        torch.manual_seed(len(tokens))
        return [int(token) for token in torch.randint(6, (room,))]


class Leaky(Echo):
    """Write to the target's cache in secret, ever so little."""

    def start(self, target: Any, rows: Rows, captured: Any) -> None:
        """Remember the cache."""
        self._cache = getattr(target.engine, "cache", None)

    def guess(self, tokens: list[int], room: int) -> list[int]:
        """Move the first token's keys by less than rounding shows."""
        if self._cache is not None:
            self._cache._storage[:, :, :, :, 0] += 1e-13  # noqa: SLF001 (the fault)
        return super().guess(tokens, room)


class CountsDraftsOnly(Echo):
    """Take the bonus token out of the commit that others read after it."""

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        """Write into what it was shown."""
        for tokens in commit.token_lists:
            tokens.pop()


class SwapsSiblings(Fork):
    """Hand over two siblings under each other's slots."""

    def finished(self, draft: Draft) -> Draft:
        """Exchange slots 1 and 2."""
        if draft.exit is None or len(draft.exit.slot_lists[0]) < 5:
            return draft
        slots = [[row[node] for node in (0, 2, 1, 3, 4)] for row in draft.exit.slot_lists]
        return attrs.evolve(draft, exit=attrs.evolve(draft.exit, slot_lists=slots))


class SmallVocabulary(Echo):
    """Hold a table for as many tokens as the toy it was written on."""

    def guess(self, tokens: list[int], room: int) -> list[int]:
        """Look every token up."""
        table = list(range(12))
        return [table[token] for token in super().guess(tokens, room)]


class TrustsItsOwnDraft(Echo):
    """Keep its own text, to which it adds what it drafted itself."""

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        """Copy the texts."""
        self._texts = [list(row.tokens) for row in rows.active]

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Draft after its own texts, and remember the drafts."""
        guesses = [
            self.guess(text, row.room)[: row.room] if row.room else []
            for text, row in zip(self._texts, rows.active, strict=True)
        ]
        self._drafts = Draft.chains(rows.roots, guesses)
        return self._drafts

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        """Add what was accepted of its own draft, even if another's draft was scored."""
        own = self._drafts.token_lists
        for place, path in enumerate(commit.path_lists):
            drafted = [own[place][node] for node in path]
            self._texts[place] += [*drafted, commit.token_lists[place][-1]]

    def keep(self, kept: list[int]) -> None:
        """Keep only the texts of the rows ``kept``."""
        self._texts = [self._texts[place] for place in kept]


class ReadsWhenAsked(TrustsItsOwnDraft):
    """Add to its own texts one commit whenever it is asked: in some rounds it is not."""

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        super().start(target, rows, captured)
        self._latest: list[list[int]] = [[] for _ in rows.active]

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        for text, tokens in zip(self._texts, self._latest, strict=True):
            text.extend(tokens)
        return super().propose(rows, stop, sampler)

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        both = zip(self._latest, commit.token_lists, strict=True)
        self._latest = [unread or tokens for unread, tokens in both]

    def keep(self, kept: list[int]) -> None:
        super().keep(kept)
        self._latest = [self._latest[place] for place in kept]


class LimitsByPlace(StopPolicy):
    """Keep a limit for each row of the first batch; rows that leave take nothing with them."""

    def start(self, rows: Rows) -> None:
        """Give every row a limit."""
        self._limits = [2] * len(rows)

    def limit(self, rows: Rows) -> list[int]:
        """Return limits for rows that are gone, too."""
        return self._limits


FAKES: dict[str, tuple[type, ...]] = {
    "check_greedy_output_equals_plain": (StaleExit,),
    "check_sampled_output_equals_plain": (SwitchesSampling,),
    "check_every_accept_count": (LooksBehindThePath,),
    "check_stops_inside_a_draft": (CountsOnABonus,),
    "check_empty_drafts_are_allowed": (DraftsWithoutRoom,),
    "check_room_is_respected": (AsksTheBudget,),
    "check_tokens_are_in_vocabulary": (OutOfVocabulary,),
    "check_trees_are_well_formed": (WrongRoot, BranchesInSecret),
    "check_rollback": (Forgetful,),
    "check_reset_forgets": (NeverForgets,),
    "check_seeded_repeatability": (Unseeded,),
    "check_target_is_left_alone": (Leaky,),
    "check_random_state_is_left_alone": (SeedsGlobally,),
    "check_metrics_add_up": (CountsDraftsOnly,),
    "check_rows_that_leave": (KeepsEveryRow,),
    "check_handing_over": (TrustsItsOwnDraft, ReadsWhenAsked),
    "check_batch_equals_single_runs": (LimitsByPlace, KeepsEveryRow),
    "check_tree_nodes_see_their_own_path": (SwapsSiblings,),
    "check_declared_q_matches_samples": (Lying, GreedyWithSoftmaxQ),
    "check_rejection_keeps_the_distribution": (DropsTheUnlikely, BorrowsTheCoin),
    "check_real_model_equals_generate": (SmallVocabulary,),
    "check_real_model_sampling_equals_plain": (SwitchesSampling,),
    "check_every_dtype_decodes": (OnlyInFloat64,),
}

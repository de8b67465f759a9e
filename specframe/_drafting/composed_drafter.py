"""Drafters made of drafters: the first that proposes something, or the longest proposal.

A composition is a drafter: the loop knows nothing of it. A part whose draft is not scored as it is
gets ``discard``, and sees in ``update`` what was committed, without an ``exit``: only the last part
that ran layers can have its keys and values in the target's cache. Kangaroo then takes the exit
states from what the target captured, and the draft model rolls back to the root. Both are slower
than alone, and draft the same. Which part is taken may depend on the drafts under verifiers that
promise tokens; where q counts it may not, so ``longest`` is ``first`` there.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from specframe._contracts.drafter import Drafter
from specframe._drafting.merged_drafts import merged
from specframe._errors import InputError, PluginError
from specframe._round.capabilities import Capabilities, Needs
from specframe._target.draft_checks import check_draft, check_kinds, check_law

if TYPE_CHECKING:
    from specframe._contracts.stop_policy import StopPolicy
    from specframe._round.draft import Draft
    from specframe._round.rows import Rows
    from specframe._round.scores import Captured, Scores
    from specframe._round.verdict import Commit
    from specframe._sampling.sampler import Sampler
    from specframe._target.target import Target


class ComposedDrafter(Drafter):
    """Hand each row to one of several drafters, round by round.

    A draft that came whole from one part is scored unchanged. Any other is put together from the
    parts' and has no ``exit``. Parts whose draft is not scored unchanged learn so by ``discard``;
    in ``update`` every part sees what was scored. Raises InputError for no drafter, one that comes
    twice or what is none; PluginError, naming the part, for a malformed draft of a part.
    """

    def __init__(self, parts: Sequence[Drafter]) -> None:
        """Take the drafters in their order; raises InputError for none, or one that comes twice."""
        if not parts or len(set(map(id, parts))) < len(parts):
            raise InputError(
                f"{type(self).__name__} takes one drafter or more, each of them once, got {parts!r}"
            )
        for part in parts:
            if not isinstance(part, Drafter):
                raise InputError(f"{type(self).__name__} takes drafters, got {part!r}")
        self.parts = tuple(parts)
        self.capabilities = capabilities_of(self.parts)
        self._used: Drafter | None = None  # whose draft is scored unchanged

    def prepare(self, target: Target) -> None:
        """Prepare every part; ``needs`` and ``capabilities`` are final after it.

        What a part raises passes.
        """
        for part in self.parts:
            part.prepare(target)
        self.capabilities = capabilities_of(self.parts)
        self.needs = Needs(
            taps=frozenset[int]().union(*(part.needs.taps for part in self.parts)),
            normed=any(part.needs.normed for part in self.parts),
            prompt=any(part.needs.prompt for part in self.parts),
        )
        self.most_levels = max(part.most_levels for part in self.parts)

    def stop_settings(self) -> Mapping[str, object]:
        """Return the parts' values by option name; where several name one, the first part's."""
        settings: dict[str, object] = {}
        for part in reversed(self.parts):
            settings.update(part.stop_settings())
        return settings

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        """Begin a decode in every part."""
        self._engine = target.engine
        for part in self.parts:
            part.start(target, rows, captured)

    @abc.abstractmethod
    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Ask the parts, and return the draft that ``settle`` makes of their answers."""

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        """Show every part what was scored; its exit only to the part whose draft it is."""
        others = draft if draft.exit is None else attrs.evolve(draft, exit=None)
        for part in self.parts:
            part.update(rows, draft if part is self._used else others, scores, commit)

    def keep(self, kept: list[int]) -> None:
        """Keep only the rows ``kept``, in this order."""
        for part in self.parts:
            part.keep(kept)

    def reset(self) -> None:
        """Let every part forget what outlives a sequence."""
        for part in self.parts:
            part.reset()

    def ask(
        self, place: int, rows: Rows, stop: StopPolicy, sampler: Sampler, *, room_in: Sequence[bool]
    ) -> Draft:
        """Return the draft of the part at ``place``, with room only in the rows ``room_in``.

        Raises PluginError for a malformed draft.
        """
        part = self.parts[place]
        most = min(part.most_levels, (self.capabilities.max_nodes or part.most_levels + 1) - 1)
        rooms = [
            min(room, most) if has_room else 0
            for room, has_room in zip(rows.rooms, room_in, strict=True)
        ]
        try:
            with _rooms(rows, rooms):
                draft = part.propose(rows, stop, sampler)
            check_kinds(draft, self._engine)
            check_draft(draft, self._engine.vocab_size, rooms)
            check_law(draft, part.capabilities)
        except PluginError as error:
            error.part = error.part or part
            raise
        return draft

    def first_of(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Ask part after part, for the rows that have no draft yet, and settle."""
        drafts: list[Draft] = []
        is_open = [True] * len(rows)
        owners = [0] * len(rows)
        for place in range(len(self.parts)):
            drafts.append(self.ask(place, rows, stop, sampler, room_in=is_open))
            owners = [place if free else owner for free, owner in zip(is_open, owners, strict=True)]
            is_open = [
                free and size == 1 and row.room > 0
                for free, size, row in zip(is_open, drafts[-1].size_list, rows.active, strict=True)
            ]
            if not any(is_open):
                break
        return self.settle(rows, drafts, owners)

    def settle(self, rows: Rows, drafts: list[Draft], owners: list[int]) -> Draft:
        """Return row ``b`` of the draft ``owners[b]``; ``drafts`` are those of the first parts.

        Layers that a part ran were written to the target's cache, over those of the parts before,
        so only the last draft can keep its exit.
        """
        asked = self.parts[: len(drafts)]
        sole = drafts[owners[0]] if len(set(owners)) == 1 else None
        stands = sole is not None and (sole is drafts[-1] or sole.exit is None)
        self._used = asked[owners[0]] if stands else None
        for part in asked:
            if part is not self._used:
                part.discard(rows)
        if sole is None:
            return merged(drafts, owners)
        return sole if stands else attrs.evolve(sole, exit=None)


class FirstDrafter(ComposedDrafter):
    """Take each row's draft from the first drafter that proposes something for it.

    Later parts are asked with no room in this row, and not at all where no row is left: put cheap
    ones first. Where none proposes anything the draft is the root alone. Raises InputError for no
    drafter, one that comes twice or what is none; PluginError for a malformed draft of a part.
    """

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Ask part after part, for the rows that have no draft yet."""
        return self.first_of(rows, stop, sampler)


class LongestDrafter(ComposedDrafter):
    """Take each row's draft from the drafter that goes deepest, the first of those that tie.

    All parts are asked in every round, so it is for parts that cost little. Where the verifier
    needs q it does as FirstDrafter: a draft's length may depend on the tokens that were drawn, and
    a draft chosen for its tokens is no draw from its q any more. Raises InputError for no drafter,
    one that comes twice or what is none; PluginError for a malformed draft of a part.
    """

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Ask every part for every row."""
        if sampler.wants_q:
            return self.first_of(rows, stop, sampler)
        everywhere = [True] * len(rows)
        places = range(len(self.parts))
        drafts = [self.ask(place, rows, stop, sampler, room_in=everywhere) for place in places]
        depths = [[max(depths) for depths in draft.depths] for draft in drafts]
        owners = [max(places, key=lambda place: depths[place][row]) for row in range(len(rows))]
        return self.settle(rows, drafts, owners)


def capabilities_of(parts: Sequence[Drafter]) -> Capabilities:
    """Return what drafters can do together.

    What they show a stop policy is what all those show that show anything: a part that shows
    nothing drafts without asking.
    """
    each = [part.capabilities for part in parts]
    shown = [one.shows for one in each if one.shows]
    nodes = [one.max_nodes for one in each if one.max_nodes is not None]
    return Capabilities(
        tree=any(one.tree for one in each),
        batch=all(one.batch for one in each),
        sampling=any(one.sampling for one in each),
        max_nodes=max(nodes) if nodes else None,
        shows=frozenset.intersection(*shown) if shown else frozenset(),
        learns=any(one.learns for one in each),
    )


@contextmanager
def _rooms(rows: Rows, rooms: list[int]) -> Iterator[None]:
    """Let the rows have other rooms for a while."""
    own = rows.rooms
    _assign(rows, rooms)
    try:
        yield
    finally:
        _assign(rows, own)


def _assign(rows: Rows, rooms: list[int]) -> None:
    for row, room in zip(rows.active, rooms, strict=True):
        row.room = room

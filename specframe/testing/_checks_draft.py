"""Checks of single drafts: what a drafter may hand over."""

from __future__ import annotations

from hypothesis import strategies as st

from specframe import Draft, Rows, Stops
from specframe.testing._check_result import Broken
from specframe.testing._hypothesis_strategies import oracles, token_sequences
from specframe.testing._manual_decoding import ScriptedLimits, drafts_of
from specframe.testing._oracle import CONTEXT, Oracle
from specframe.testing._strategy_under_test import Session, Subject

MOST_ROOM = 5


def check_empty_drafts_are_allowed(subject: Subject) -> None:
    """Where there is no room, the draft must be the root alone, and decoding must continue."""

    @subject.for_all(oracles(), token_sequences(), st.lists(st.booleans(), max_size=4))
    def holds(oracle: Oracle, prompt: list[int], has_room: list[bool]) -> None:
        limits = ScriptedLimits([3 * room for room in [*has_room, False]])
        session = subject.open(oracle, [prompt], Stops(8, CONTEXT), stop=limits).begin()
        for draft in drafts_of(session):
            if session.rows.rooms == [0] and draft.size_list != [1]:
                raise Broken(
                    f"on {oracle!r} after {session.rows.active[0].tokens} with no room it drafted "
                    f"{draft.token_lists[0][1:]}"
                )


def check_room_is_respected(subject: Subject) -> None:
    """A draft must not be deeper than the room of its row, nor have more nodes than declared."""

    @subject.for_all(
        oracles(),
        token_sequences(),
        st.lists(st.integers(0, MOST_ROOM), min_size=1, max_size=3),
        st.integers(1, 12),
    )
    def holds(oracle: Oracle, prompt: list[int], rooms: list[int], budget: int) -> None:
        stops = Stops(budget, CONTEXT)
        session = subject.open(oracle, [prompt], stops, stop=ScriptedLimits(rooms)).begin()
        for draft in drafts_of(session):
            _expect_room(session, draft)


def _expect_room(session: Session, draft: Draft) -> None:
    for row, depths in zip(session.rows.active, draft.depths, strict=True):
        if max(depths) > row.room:
            raise Broken(
                f"after {row.tokens} a row with room for {row.room} level(s) was given "
                f"{max(depths)}"
            )
    most = session.drafter.capabilities.max_nodes
    if most is not None and max(draft.size_list) > most:
        raise Broken(f"a draft has {max(draft.size_list)} nodes and at most {most} are declared")


def check_tokens_are_in_vocabulary(subject: Subject) -> None:
    """Every drafted token must be one that the target knows."""

    @subject.for_all(oracles(), token_sequences())
    def holds(oracle: Oracle, prompt: list[int]) -> None:
        for root in range(oracle.vocab):
            session = subject.open(oracle, [prompt], Stops(8, CONTEXT)).begin([root])
            draft = session.propose()
            for token in draft.token_lists[0] if draft else ():
                if not 0 <= token < oracle.vocab:
                    raise Broken(
                        f"after {session.rows.active[0].tokens} it drafted token {token}; the "
                        f"vocabulary ends at {oracle.vocab - 1}"
                    )


def check_trees_are_well_formed(subject: Subject) -> None:
    """A draft must be one tree a row, root first, parents before children, as it is declared."""

    @subject.for_all(oracles(), token_sequences())
    def holds(oracle: Oracle, prompt: list[int]) -> None:
        session = subject.open(oracle, [prompt], Stops(10, CONTEXT)).begin()
        for draft in drafts_of(session):
            expect_trees(session.rows, draft, branches=session.drafter.capabilities.tree)


def expect_trees(rows: Rows, draft: Draft, *, branches: bool) -> None:
    """Raise Broken unless a draft is well formed."""
    batch, width = draft.tokens.shape
    if (batch, draft.parents.shape, draft.sizes.shape) != (len(rows), (batch, width), (batch,)):
        raise Broken(
            f"tokens {tuple(draft.tokens.shape)}, parents {tuple(draft.parents.shape)} and sizes "
            f"{tuple(draft.sizes.shape)} do not fit {len(rows)} row(s)"
        )
    for row, tokens, parents in zip(
        rows.active, draft.token_lists, draft.parent_lists, strict=True
    ):
        what = f"after {row.tokens} it drafted tokens {tokens} with parents {parents}"
        if tokens[:1] != [row.root]:
            raise Broken(f"{what}; node 0 must hold the root, {row.root}")
        if parents[0] != -1 or not all(0 <= p < i for i, p in enumerate(parents) if i):
            raise Broken(f"{what}; a parent must come before its child, and the root has -1")
        if not branches and len(set(parents)) < len(parents):
            raise Broken(f"{what}; it branches, and the capability 'tree' is not declared")

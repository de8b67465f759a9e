"""A state machine on a drafter: whatever happened before, it drafts as on a fresh start.

Start, propose, accept n, roll back, let rows leave, reset: in any legal order. It is
compared with a list of tokens for each row: a new drafter, started on those tokens, must draft the
same.
"""

from __future__ import annotations

from typing import Any

from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from specframe import Draft, Drafter, Stops
from specframe._words import cause
from specframe.testing._check_result import Broken
from specframe.testing._hypothesis_strategies import VOCAB, oracles, token_sequences
from specframe.testing._manual_decoding import ScriptedLimits
from specframe.testing._oracle import CONTEXT, Oracle
from specframe.testing._strategy_under_test import Session, Subject, fixed

STEPS = 12
STORIES = 3  # for each example of an ordinary property: a story has many steps and is quick
BUDGET = 60
rooms_of = st.lists(st.integers(0, 5), min_size=1, max_size=3)
tokens_of = st.integers(0, VOCAB - 1)


def check_machine(subject: Subject, *, most_rows: int) -> None:
    """Run the machine on a drafter; raise Broken with the shortest story that breaks it."""
    kind = type(
        "Machine", (DrafterMachine,), {"subject": subject, "most_rows": most_rows, "story": ()}
    )
    stories = settings(
        fixed(STORIES * subject.max_examples, shrinks=subject.shrinks), stateful_step_count=STEPS
    )
    try:
        run_state_machine_as_test(seed(subject.seed)(kind), settings=stories)
    except Broken:
        raise
    except Exception as error:
        raise Broken(f"in a decode by hand it raised {cause(error)}") from error


class DrafterMachine(RuleBasedStateMachine):
    """Drive one drafter; set ``subject``, and with ``most_rows`` how many rows a batch may have.

    Raises Broken, an AssertionError, where the drafter drafts otherwise than a new one.
    """

    subject: Subject
    most_rows: int = 1

    def __init__(self) -> None:
        super().__init__()
        self.subject.examples += 1
        self.draft: Draft | None = None
        self.story: list[str] = []

    @initialize(oracle=oracles(), data=st.data())
    def start(self, oracle: Oracle, data: st.DataObject) -> None:
        """Begin a decode with a new drafter."""
        self.oracle = oracle
        self.session = self._begin(data, None)

    @rule(data=st.data(), resets=st.booleans())
    def start_again(self, data: st.DataObject, *, resets: bool) -> None:
        """Begin another decode with the same drafter, reset or not."""
        if resets:
            self.session.drafter.reset()
            self.story.append("reset")
        self.draft = None
        self.session = self._begin(data, self.session.drafter)

    @precondition(lambda self: self.draft is None)
    @rule(rooms=rooms_of)
    def propose(self, rooms: list[int]) -> None:
        """Ask for a draft and compare it with a fresh start's."""
        self._propose(rooms)

    def _propose(self, rooms: list[int]) -> None:
        self.limits.limits = rooms
        self.draft = self.session.propose()
        if self.draft is None:
            return
        self.story.append(f"drafted {self.draft.token_lists}")
        expected = self._fresh_draft()
        ours = (self.draft.token_lists, self.draft.parent_lists)
        if ours != (expected.token_lists, expected.parent_lists):
            raise Broken(
                f"on {self.oracle!r}, after {'; '.join(self.story[:-1])}, it drafted "
                f"{ours[0]} and a fresh drafter {expected.token_lists}"
            )

    @precondition(lambda self: self.draft is not None)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        """Accept down to some node of each row, with some token after it."""
        assert self.draft is not None
        sizes = self.draft.size_list
        self._commit([data.draw(st.integers(0, size - 1)) for size in sizes], data)

    @precondition(lambda self: self.draft is not None)
    @rule(data=st.data())
    def accept_everything(self, data: st.DataObject) -> None:
        """Accept down to the last node of each row."""
        assert self.draft is not None
        self._commit([size - 1 for size in self.draft.size_list], data)

    @precondition(lambda self: self.draft is not None)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        """Accept nothing, and ask for the next draft at once."""
        self._commit([0] * len(self.session.rows), data)
        self._propose([3])

    @precondition(lambda self: self.draft is None and len(self.session.rows) > 1)
    @rule(data=st.data())
    def let_a_row_leave(self, data: st.DataObject) -> None:
        """Finish a row; it leaves before the next draft, which is asked for at once."""
        row = data.draw(st.sampled_from(range(len(self.session.rows))))
        self.session.rows.active[row].finish_reason = "criteria"
        self.story.append(f"row {row} left")
        self._propose([3])

    def _begin(self, data: st.DataObject, drafter: Drafter | None) -> Session:
        least = min(self.most_rows, 2)
        prompts = data.draw(st.lists(token_sequences(), min_size=least, max_size=self.most_rows))
        self.limits = ScriptedLimits([0])
        self.story.append(f"prompts {prompts}")
        return self._session(prompts, self.limits, drafter).begin()

    def _session(
        self, prompts: list[Any], limits: ScriptedLimits, drafter: Drafter | None
    ) -> Session:
        return self.subject.open(
            self.oracle, prompts, Stops(BUDGET, CONTEXT), stop=limits, drafter=drafter
        )

    def _commit(self, nodes: list[int], data: st.DataObject) -> None:
        assert self.draft is not None
        paths = [way_down(self.draft, place, node) for place, node in enumerate(nodes)]
        tokens = [data.draw(tokens_of) for _ in nodes]
        self.session.accept(self.draft, paths, tokens)
        self.draft = None
        self.story.append(f"accepted {[len(path) for path in paths]}, then came {tokens}")

    def _fresh_draft(self) -> Draft:
        """Return what a new drafter drafts after the same tokens, with the same room."""
        rows = self.session.rows.active
        prompts = [row.tokens[:-1] for row in rows]
        fresh = self._session(prompts, ScriptedLimits([0]), None).begin(self.session.rows.roots)
        for row, other in zip(fresh.rows.active, rows, strict=True):
            row.room = other.room
        fresh.target.begin_round(fresh.rows)
        return fresh.drafter.propose(fresh.rows, fresh.stop, fresh.sampler)


def way_down(draft: Draft, place: int, node: int) -> list[int]:
    """Return the nodes from level 1 down to ``node``."""
    path = []
    while node > 0:
        path.append(node)
        node = draft.parent_lists[place][node]
    return path[::-1]

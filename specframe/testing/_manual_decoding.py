"""Decoding by hand: draft after draft, with as much accepted as a check wants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from specframe import Draft, Rows, Scores, StopPolicy
from specframe.testing._strategy_under_test import Session


class ScriptedLimits(StopPolicy):
    """Give rows the limits of a list, cycled round by round and shifted by the row's index."""

    def __init__(self, limits: Sequence[int]) -> None:
        """Hold the limits; change them between two rounds at will."""
        self.limits = list(limits)
        self._round = -1

    def limit(self, rows: Rows) -> list[int]:
        """Return this round's."""
        self._round += 1
        return [self.limits[(self._round + index) % len(self.limits)] for index in rows.indices]


def drafts_of(session: Session) -> Iterator[Draft]:
    """Yield draft after draft until every row is finished; half of each path is accepted."""
    while (draft := session.propose()) is not None:
        yield draft
        accept_half(session, draft)


def accept_half(session: Session, draft: Draft) -> Scores:
    """Accept the upper half of a path of each row, then a token that is not the root."""
    paths = [half_path(draft, place) for place in range(len(session.rows))]
    vocab = session.target.engine.vocab_size
    return session.accept(draft, paths, [(row.root + 1) % vocab for row in session.rows.active])


def half_path(draft: Draft, place: int) -> list[int]:
    """Return the upper half of the path to a row's last node."""
    path, node = [], draft.size_list[place] - 1
    while node > 0:
        path.append(node)
        node = draft.parent_lists[place][node]
    return path[::-1][: (len(path) + 1) // 2]

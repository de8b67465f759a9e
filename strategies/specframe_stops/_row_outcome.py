"""What a round tells a stop policy about each row."""

from __future__ import annotations

import attrs

from specframe import Round, Rows


@attrs.frozen
class RowOutcome:
    """Hold how many levels of a row were drafted and how many of them were accepted."""

    drafted: int
    accepted: int

    @property
    def share(self) -> float:
        """Return the accepted share of a draft that was not empty."""
        return self.accepted / self.drafted


def outcomes(rows: Rows, round: Round) -> list[RowOutcome | None]:
    """Return each row's outcome, None if the round says nothing about drafting.

    A row that has ended may have been cut within its path, and a row without room got no draft.
    """
    assert round.draft is not None
    assert round.commit is not None
    return [
        None
        if row.finish_reason is not None or row.room == 0
        else RowOutcome(max(depths), len(path))
        for row, depths, path in zip(
            rows.active, round.draft.depths, round.commit.path_lists, strict=True
        )
    ]

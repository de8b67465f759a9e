"""An observer: a line of statistics for every decode, in the file that SPECFRAME_DIARY names.

The entry point names an object instead of a module, because this plug-in has something to remember.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from specframe import hookimpl

if TYPE_CHECKING:
    from specframe import Result, Round

__all__ = ["Diary", "diary"]

VARIABLE = "SPECFRAME_DIARY"


@attrs.define(eq=False)
class Diary:
    """Write a line of JSON for each finished decode; nothing where no file is named.

    ``rounds`` are all that this process has run, those of interrupted decodes too: where it grows
    by more than a line's own rounds, something was cut off or ran beside it.
    """

    rounds: int = 0

    @hookimpl
    def specframe_round(self, round: Round) -> None:
        """Count a round, but for prefills."""
        self.rounds += round.draft is not None

    @hookimpl
    def specframe_decode_finished(self, result: Result) -> None:
        """Append one line; what cannot be written is reported once, and decoding goes on."""
        path = os.environ.get(VARIABLE)
        if not path:
            return
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(self._entry(result)) + "\n")

    def _entry(self, result: Result) -> dict[str, object]:
        metrics = result.metrics
        return {
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "finish_reason": result.finish_reason,
            "num_new_tokens": metrics.num_new_tokens,
            "num_spec_steps": metrics.num_spec_steps,
            "mean_acceptance_length": metrics.mean_acceptance_length,
            "tokens_per_second": metrics.tokens_per_second,
            "rounds_of_this_process": self.rounds,
        }


diary: Final = Diary()

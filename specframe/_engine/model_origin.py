"""Where a model came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@attrs.frozen
class Origin:
    """Name a loaded model: for messages, and for drafters that were trained for it.

    ``folder`` is where it lies, if on this machine; a drafter's trained part may lie in a folder
    of the drafter's name below it. ``tokenizer`` is the one in force; None: token ids alone.
    """

    name: str
    folder: Path | None
    fingerprint: str
    tokenizer: PreTrainedTokenizerBase | None = attrs.field(default=None, eq=False, repr=False)

    def companion(self, name: str) -> Path | None:
        """Return the folder ``name`` that came with the model, or None."""
        folder = None if self.folder is None else self.folder / name
        return folder if folder is not None and folder.is_dir() else None


UNKNOWN = Origin("a model", None, "")

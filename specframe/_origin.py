"""Where a model came from."""

from __future__ import annotations

from pathlib import Path

import attrs


@attrs.frozen
class Origin:
    """Name a loaded model: for messages, and for drafters that were trained for it.

    ``folder`` is where it lies, if on this machine; a drafter's trained part may lie in a folder
    of the drafter's name below it.
    """

    name: str
    folder: Path | None
    fingerprint: str

    def companion(self, name: str) -> Path | None:
        """Return the folder ``name`` that came with the model, or None."""
        folder = None if self.folder is None else self.folder / name
        return folder if folder is not None and folder.is_dir() else None


UNKNOWN = Origin("a model", None, "")

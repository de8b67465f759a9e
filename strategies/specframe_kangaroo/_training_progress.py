"""One line of progress per log entry, on standard error."""

from __future__ import annotations

import sys
import time

import attrs
from transformers import TrainerState


@attrs.define
class Progress:
    """Print how far training is and how well the adapter drafts; owns the clock of the run."""

    first: tuple[float, int] | None = None

    def show(self, state: TrainerState, logs: dict[str, float]) -> None:
        """Print an entry of training or evaluation, in one process; ignore other entries."""
        prefix = "eval_" if "eval_loss" in logs else ""
        if not state.is_world_process_zero or f"{prefix}agreement" not in logs:
            return
        parts = (
            f"step {state.global_step}/{state.max_steps}",
            f"{'held-out ' if prefix else ''}loss {logs[prefix + 'loss']:.3f}",
            f"agreement {logs[prefix + 'agreement']:.1%}",
            f"overlap {logs[prefix + 'overlap']:.1%}",
            self._left(state),
        )
        print("  ".join(filter(None, parts)), file=sys.stderr, flush=True)  # noqa: T201 (progress)

    def _left(self, state: TrainerState) -> str:
        """Return the remaining time, once two entries have shown the pace."""
        now, step = time.monotonic(), state.global_step
        if self.first is None:
            self.first = now, step
        began, first_step = self.first
        if not first_step < step < state.max_steps:
            return ""
        return f"{(now - began) / (step - first_step) * (state.max_steps - step):.0f} s left"

"""The one table of default names: the only place where the core knows a plug-in by name."""

from __future__ import annotations

from typing import Final

STRATEGY: Final = "kangaroo"
PLAIN: Final = "none"  # the yardstick: the drafter that proposes nothing
DRAFT_MODEL: Final = "draft-model"  # the strategy of --draft-model, if none is named
VERIFIER: Final = "greedy"
SAMPLING_VERIFIER: Final = "match"  # above temperature 0
STOP_POLICY: Final = "fixed"
GENERATE: Final = "hf"  # the other yardstick of a benchmark: transformers' own `generate`
MODEL: Final = "specframe_demo"  # the package with the demo model

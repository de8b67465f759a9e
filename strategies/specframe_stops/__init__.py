"""The stop policies that come with specframe: fixed lengths and bounds, and learning ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import hookimpl
from specframe_stops._options import (
    AdaedlOptions,
    AdaptiveConfidenceOptions,
    AllOptions,
    AnyOptions,
    ConfidenceOptions,
    CostAwareOptions,
    FixedOptions,
    HeuristicOptions,
    SvipOptions,
)

if TYPE_CHECKING:
    from specframe import RegisterComponent

__all__ = [
    "AdaedlOptions",
    "AdaptiveConfidenceOptions",
    "AllOptions",
    "AnyOptions",
    "ConfidenceOptions",
    "CostAwareOptions",
    "FixedOptions",
    "HeuristicOptions",
    "SvipOptions",
]

# name, implementation, options, summary
POLICIES = (
    (
        "fixed",
        "_memoryless:FixedPolicy",
        FixedOptions,
        "draft the same number of levels every round",
    ),
    (
        "confidence",
        "_memoryless:ConfidencePolicy",
        ConfidenceOptions,
        "stop drafting after a token that the drafter is unsure of",
    ),
    (
        "svip",
        "_memoryless:SvipPolicy",
        SvipOptions,
        "stop drafting after a token from a distribution of high entropy",
    ),
    (
        "heuristic",
        "_adaptive:HeuristicPolicy",
        HeuristicOptions,
        "two levels more after a draft accepted whole, one fewer after any other",
    ),
    (
        "adaptive-confidence",
        "_adaptive:AdaptiveConfidencePolicy",
        AdaptiveConfidenceOptions,
        "a confidence threshold that moves towards an acceptance rate",
    ),
    (
        "adaedl",
        "_adaptive:AdaedlPolicy",
        AdaedlOptions,
        "stop drafting before a token of high entropy, by a bound that moves",
    ),
    (
        "cost-aware",
        "_cost_aware:CostAwarePolicy",
        CostAwareOptions,
        "draft while one more level brings more than its measured time is worth",
    ),
    (
        "any",
        "_composed:AnyNamed",
        AnyOptions,
        "stop drafting where the first of several policies does",
    ),
    (
        "all",
        "_composed:AllNamed",
        AllOptions,
        "stop drafting where the last of several policies does",
    ),
)


@hookimpl
def specframe_register_stop_policies(register: RegisterComponent) -> None:
    """Register all of them."""
    for name, implementation, options, summary in POLICIES:
        register(name, f"specframe_stops.{implementation}", options=options, summary=summary)

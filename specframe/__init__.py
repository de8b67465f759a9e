"""Speculative decoding that never changes what a model says; everything in it is a plug-in."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specframe._assembly import Setup
    from specframe._attention import Pass, RotaryTable
    from specframe._cache import SlotCache
    from specframe._chain import Look, grow_chain
    from specframe._composed_drafter import FirstDrafter, LongestDrafter
    from specframe._composed_policy import AllPolicy, AnyPolicy
    from specframe._custom_generate import custom_generate
    from specframe._decoder import Decoder, load
    from specframe._draft import Draft, Exit, Law
    from specframe._drafter import Capabilities, Drafter, Needs, SequenceDrafter
    from specframe._engine import Engine, Filled
    from specframe._errors import (
        AdapterError,
        InputError,
        MemoryShortageError,
        ModelError,
        NumericsError,
        OptionError,
        PluginError,
        SpecframeError,
        UnknownNameError,
    )
    from specframe._family import Family, Layer, Split
    from specframe._fingerprint import fingerprint
    from specframe._hooks import API_VERSION, RegisterComponent, RegisterStrategy, hookimpl
    from specframe._loop import decode
    from specframe._metrics import Metrics
    from specframe._noise import Purpose
    from specframe._norm import RMSNorm
    from specframe._options import Check, at_least, at_most, not_nan, not_negative, option
    from specframe._packing import Packing, packed, unpacked
    from specframe._parts import NamedPart, build_drafter, build_stop_policy, named_parts
    from specframe._placement import Board, Placement
    from specframe._projection import Projection
    from specframe._registry import Strategy
    from specframe._round import Round, RowRound
    from specframe._rows import Row, Rows
    from specframe._sampler import Paths, Sampler
    from specframe._sampling import Sampling
    from specframe._scores import Captured, Scores
    from specframe._stop_policy import Step, StopPolicy
    from specframe._stops import Stops
    from specframe._stream import Result, Stream
    from specframe._target import Target
    from specframe._transfer import Reading, to_device
    from specframe._tree import Nodes, TreeBuilder
    from specframe._verdict import Commit, Verdict
    from specframe._verifier import Guarantee, Verifier

__all__ = [
    "API_VERSION",
    "AdapterError",
    "AllPolicy",
    "AnyPolicy",
    "Board",
    "Capabilities",
    "Captured",
    "Check",
    "Commit",
    "Decoder",
    "Draft",
    "Drafter",
    "Engine",
    "Exit",
    "Family",
    "Filled",
    "FirstDrafter",
    "Guarantee",
    "InputError",
    "Law",
    "Layer",
    "LongestDrafter",
    "Look",
    "MemoryShortageError",
    "Metrics",
    "ModelError",
    "NamedPart",
    "Needs",
    "Nodes",
    "NumericsError",
    "OptionError",
    "Packing",
    "Pass",
    "Paths",
    "Placement",
    "PluginError",
    "Projection",
    "Purpose",
    "RMSNorm",
    "Reading",
    "RegisterComponent",
    "RegisterStrategy",
    "Result",
    "RotaryTable",
    "Round",
    "Row",
    "RowRound",
    "Rows",
    "Sampler",
    "Sampling",
    "Scores",
    "SequenceDrafter",
    "Setup",
    "SlotCache",
    "SpecframeError",
    "Split",
    "Step",
    "StopPolicy",
    "Stops",
    "Strategy",
    "Stream",
    "Target",
    "TreeBuilder",
    "UnknownNameError",
    "Verdict",
    "Verifier",
    "at_least",
    "at_most",
    "build_drafter",
    "build_stop_policy",
    "custom_generate",
    "decode",
    "fingerprint",
    "grow_chain",
    "hookimpl",
    "load",
    "named_parts",
    "not_nan",
    "not_negative",
    "option",
    "packed",
    "to_device",
    "unpacked",
]

# Public names are imported on first use, so that `import specframe` stays fast and torch-free.
_HOMES = {
    "API_VERSION": "_hooks",
    "AdapterError": "_errors",
    "AllPolicy": "_composed_policy",
    "AnyPolicy": "_composed_policy",
    "Board": "_placement",
    "Capabilities": "_drafter",
    "Captured": "_scores",
    "Check": "_options",
    "Commit": "_verdict",
    "Decoder": "_decoder",
    "Draft": "_draft",
    "Drafter": "_drafter",
    "Engine": "_engine",
    "Exit": "_draft",
    "Family": "_family",
    "Filled": "_engine",
    "FirstDrafter": "_composed_drafter",
    "Guarantee": "_verifier",
    "InputError": "_errors",
    "Law": "_draft",
    "Layer": "_family",
    "LongestDrafter": "_composed_drafter",
    "Look": "_chain",
    "MemoryShortageError": "_errors",
    "Metrics": "_metrics",
    "ModelError": "_errors",
    "NamedPart": "_parts",
    "Needs": "_drafter",
    "Nodes": "_tree",
    "NumericsError": "_errors",
    "OptionError": "_errors",
    "Packing": "_packing",
    "Pass": "_attention",
    "Paths": "_sampler",
    "Placement": "_placement",
    "PluginError": "_errors",
    "Projection": "_projection",
    "Purpose": "_noise",
    "RMSNorm": "_norm",
    "Reading": "_transfer",
    "RegisterComponent": "_hooks",
    "RegisterStrategy": "_hooks",
    "Result": "_stream",
    "RotaryTable": "_attention",
    "Round": "_round",
    "Row": "_rows",
    "RowRound": "_round",
    "Rows": "_rows",
    "Sampler": "_sampler",
    "Sampling": "_sampling",
    "Scores": "_scores",
    "SequenceDrafter": "_drafter",
    "Setup": "_assembly",
    "SlotCache": "_cache",
    "SpecframeError": "_errors",
    "Split": "_family",
    "Step": "_stop_policy",
    "StopPolicy": "_stop_policy",
    "Stops": "_stops",
    "Strategy": "_registry",
    "Stream": "_stream",
    "Target": "_target",
    "TreeBuilder": "_tree",
    "UnknownNameError": "_errors",
    "Verdict": "_verdict",
    "Verifier": "_verifier",
    "at_least": "_options",
    "at_most": "_options",
    "build_drafter": "_parts",
    "build_stop_policy": "_parts",
    "custom_generate": "_custom_generate",
    "decode": "_loop",
    "fingerprint": "_fingerprint",
    "grow_chain": "_chain",
    "hookimpl": "_hooks",
    "load": "_decoder",
    "named_parts": "_parts",
    "not_nan": "_options",
    "not_negative": "_options",
    "option": "_options",
    "packed": "_packing",
    "to_device": "_transfer",
    "unpacked": "_packing",
}


def __getattr__(name: str) -> object:
    """Import a public name from its home on its first use."""
    if name not in _HOMES:
        from specframe._deprecation import renamed  # noqa: PLC0415 (nobody else pays for it)

        return renamed(__name__, name)
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

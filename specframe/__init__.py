"""Speculative decoding that never changes what a model says; everything in it is a plug-in."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specframe._assembly.build_by_name import (
        NamedPart,
        build_drafter,
        build_stop_policy,
        named_parts,
    )
    from specframe._contracts.drafter import Drafter, SequenceDrafter
    from specframe._contracts.stop_policy import Step, StopPolicy
    from specframe._contracts.verifier import Guarantee, Verifier
    from specframe._decoder.decode_once import decode
    from specframe._decoder.decoder import Decoder, load
    from specframe._decoder.setup import Setup
    from specframe._decoder.stream import Stream
    from specframe._drafting.chain import Look, grow_chain
    from specframe._drafting.composed_drafter import FirstDrafter, LongestDrafter
    from specframe._drafting.composed_policy import AllPolicy, AnyPolicy
    from specframe._engine.attention import Pass, RotaryTable
    from specframe._engine.cache import SlotCache
    from specframe._engine.engine import Engine, Filled
    from specframe._engine.family import Family, Layer, Split
    from specframe._engine.norm import RMSNorm
    from specframe._engine.packing import Packing, packed, unpacked
    from specframe._engine.placement import Board, Placement
    from specframe._engine.projection import Projection
    from specframe._engine.transfer import Reading, to_device
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
    from specframe._generate.custom_generate import custom_generate
    from specframe._loading.fingerprint import fingerprint
    from specframe._loop.leaving import leave
    from specframe._loop.rounds import rounds
    from specframe._plugins.component import Strategy
    from specframe._plugins.hooks import API_VERSION, RegisterComponent, RegisterStrategy, hookimpl
    from specframe._plugins.options import Check, at_least, at_most, not_nan, not_negative, option
    from specframe._results.metrics import Metrics
    from specframe._results.result import Result
    from specframe._results.row_round import RowRound
    from specframe._round.capabilities import Capabilities, Needs
    from specframe._round.draft import Draft, Exit, Law
    from specframe._round.round import Round
    from specframe._round.rows import Row, Rows
    from specframe._round.scores import Captured, Scores
    from specframe._round.stops import Stops
    from specframe._round.tree_builder import Nodes, TreeBuilder
    from specframe._round.verdict import Commit, Verdict
    from specframe._sampling.noise import Purpose
    from specframe._sampling.sampler import Paths, Sampler
    from specframe._sampling.warping import Sampling
    from specframe._target.draft_checks import check_draft
    from specframe._target.target import Target

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
    "check_draft",
    "custom_generate",
    "decode",
    "fingerprint",
    "grow_chain",
    "hookimpl",
    "leave",
    "load",
    "named_parts",
    "not_nan",
    "not_negative",
    "option",
    "packed",
    "rounds",
    "to_device",
    "unpacked",
]

# Public names are imported on first use, so that `import specframe` stays fast and torch-free.
_HOMES = {
    "API_VERSION": "_plugins.hooks",
    "AdapterError": "_errors",
    "AllPolicy": "_drafting.composed_policy",
    "AnyPolicy": "_drafting.composed_policy",
    "Board": "_engine.placement",
    "Capabilities": "_round.capabilities",
    "Captured": "_round.scores",
    "Check": "_plugins.options",
    "Commit": "_round.verdict",
    "Decoder": "_decoder.decoder",
    "Draft": "_round.draft",
    "Drafter": "_contracts.drafter",
    "Engine": "_engine.engine",
    "Exit": "_round.draft",
    "Family": "_engine.family",
    "Filled": "_engine.engine",
    "FirstDrafter": "_drafting.composed_drafter",
    "Guarantee": "_contracts.verifier",
    "InputError": "_errors",
    "Law": "_round.draft",
    "Layer": "_engine.family",
    "LongestDrafter": "_drafting.composed_drafter",
    "Look": "_drafting.chain",
    "MemoryShortageError": "_errors",
    "Metrics": "_results.metrics",
    "ModelError": "_errors",
    "NamedPart": "_assembly.build_by_name",
    "Needs": "_round.capabilities",
    "Nodes": "_round.tree_builder",
    "NumericsError": "_errors",
    "OptionError": "_errors",
    "Packing": "_engine.packing",
    "Pass": "_engine.attention",
    "Paths": "_sampling.sampler",
    "Placement": "_engine.placement",
    "PluginError": "_errors",
    "Projection": "_engine.projection",
    "Purpose": "_sampling.noise",
    "RMSNorm": "_engine.norm",
    "Reading": "_engine.transfer",
    "RegisterComponent": "_plugins.hooks",
    "RegisterStrategy": "_plugins.hooks",
    "Result": "_results.result",
    "RotaryTable": "_engine.attention",
    "Round": "_round.round",
    "Row": "_round.rows",
    "RowRound": "_results.row_round",
    "Rows": "_round.rows",
    "Sampler": "_sampling.sampler",
    "Sampling": "_sampling.warping",
    "Scores": "_round.scores",
    "SequenceDrafter": "_contracts.drafter",
    "Setup": "_decoder.setup",
    "SlotCache": "_engine.cache",
    "SpecframeError": "_errors",
    "Split": "_engine.family",
    "Step": "_contracts.stop_policy",
    "StopPolicy": "_contracts.stop_policy",
    "Stops": "_round.stops",
    "Strategy": "_plugins.component",
    "Stream": "_decoder.stream",
    "Target": "_target.target",
    "TreeBuilder": "_round.tree_builder",
    "UnknownNameError": "_errors",
    "Verdict": "_round.verdict",
    "Verifier": "_contracts.verifier",
    "at_least": "_plugins.options",
    "at_most": "_plugins.options",
    "build_drafter": "_assembly.build_by_name",
    "build_stop_policy": "_assembly.build_by_name",
    "check_draft": "_target.draft_checks",
    "custom_generate": "_generate.custom_generate",
    "decode": "_decoder.decode_once",
    "fingerprint": "_loading.fingerprint",
    "grow_chain": "_drafting.chain",
    "hookimpl": "_plugins.hooks",
    "leave": "_loop.leaving",
    "load": "_decoder.decoder",
    "named_parts": "_assembly.build_by_name",
    "not_nan": "_plugins.options",
    "not_negative": "_plugins.options",
    "option": "_plugins.options",
    "packed": "_engine.packing",
    "rounds": "_loop.rounds",
    "to_device": "_engine.transfer",
    "unpacked": "_engine.packing",
}


def __getattr__(name: str) -> object:
    """Import a public name from its home on its first use."""
    if name not in _HOMES:
        from specframe._deprecation import renamed  # noqa: PLC0415 (only the old names pay for it)

        return renamed(__name__, name)
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

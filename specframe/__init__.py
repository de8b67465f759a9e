"""Speculative decoding that never changes what a model says; everything in it is a plug-in."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from specframe._hooks import RegisterComponent, RegisterStrategy, hookimpl
    from specframe._options import Check, at_least, at_most, not_nan, not_negative, option
    from specframe._registry import Strategy

__all__ = [
    "AdapterError",
    "Check",
    "InputError",
    "MemoryShortageError",
    "ModelError",
    "NumericsError",
    "OptionError",
    "PluginError",
    "RegisterComponent",
    "RegisterStrategy",
    "SpecframeError",
    "Strategy",
    "UnknownNameError",
    "at_least",
    "at_most",
    "hookimpl",
    "not_nan",
    "not_negative",
    "option",
]

# Public names are imported on first use, so that `import specframe` stays fast and torch-free.
_HOMES = {
    "AdapterError": "_errors",
    "Check": "_options",
    "InputError": "_errors",
    "MemoryShortageError": "_errors",
    "ModelError": "_errors",
    "NumericsError": "_errors",
    "OptionError": "_errors",
    "PluginError": "_errors",
    "RegisterComponent": "_hooks",
    "RegisterStrategy": "_hooks",
    "SpecframeError": "_errors",
    "Strategy": "_registry",
    "UnknownNameError": "_errors",
    "at_least": "_options",
    "at_most": "_options",
    "hookimpl": "_hooks",
    "not_nan": "_options",
    "not_negative": "_options",
    "option": "_options",
}


def __getattr__(name: str) -> object:
    """Import a public name from its home on its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

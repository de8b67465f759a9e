"""Every exception that specframe raises on purpose: one sentence on the command line."""

from __future__ import annotations


class SpecframeError(Exception):
    """What all errors of specframe derive from; the message says what, where and how to fix it."""


class InputError(SpecframeError):
    """The user gave something that cannot be used: an argument, a prompt, a file."""


class OptionError(InputError):
    """An option is unknown, of the wrong type or out of range."""


class UnknownNameError(InputError):
    """Nothing is registered under a name; the message lists what is, and the nearest match."""


class ModelError(InputError):
    """A model cannot be loaded, or its architecture cannot be split."""


class AdapterError(InputError):
    """A trained part (an adapter) is missing, damaged or made for another model."""


class PluginError(SpecframeError):
    """A plug-in broke its contract; the message names it, its distribution and version.

    ``part`` is the drafter, verifier or stop policy at fault, where it is known.
    """

    def __init__(self, message: str, *, part: object = None) -> None:
        super().__init__(message)
        self.part = part


class NumericsError(SpecframeError):
    """The model produced values that are not finite."""


class MemoryShortageError(SpecframeError):
    """There is not enough memory for what was asked."""

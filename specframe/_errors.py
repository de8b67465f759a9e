"""Every exception that specframe raises on purpose: one sentence on the command line."""

from __future__ import annotations

from typing import Literal


class SpecframeError(Exception):
    """What all errors of specframe derive from; the message says what, where and how to fix it."""


class InputError(SpecframeError):
    """The user gave something that cannot be used: an argument, a prompt, a file."""


class OptionError(InputError):
    """An option is unknown, of the wrong type or out of range."""


class UnknownNameError(InputError):
    """Nothing is registered under a name; the message lists what is, and the nearest match.

    ``broken`` are the messages about plug-ins that may have had the name: part of the error's own
    text, and told apart for whoever has said them already.
    """

    def __init__(self, message: str, broken: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join((message, *broken)))
        self.message = message
        self.broken = broken


class ModelError(InputError):
    """A model cannot be loaded, or its architecture cannot be split."""


class AdapterError(InputError):
    """A trained part (an adapter) is missing, damaged or made for another model."""


class PluginError(SpecframeError):
    """A plug-in broke its contract; the message names it, its distribution and version.

    Where the core finds the fault it says ``part``, the drafter, verifier or stop policy, or else
    its ``kind``, and the ``method`` that gave the wrong answer; ``is_named`` once the message says
    whose plug-in that is.
    """

    def __init__(
        self,
        message: str,
        *,
        part: object = None,
        kind: Literal["drafter", "verifier", "stop policy"] = "drafter",
        method: str | None = None,
        is_named: bool = False,
    ) -> None:
        super().__init__(message)
        self.part = part
        self.kind = kind
        self.method = method
        self.is_named = is_named


class NumericsError(SpecframeError):
    """The model produced values that are not finite."""


class MemoryShortageError(SpecframeError):
    """There is not enough memory for what was asked."""


class RunnerError(SpecframeError):
    """A runner cannot record or compile what exact mode was admitted with; ``reason`` says what."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"exact mode stops here: {reason}, and without that the same tokens would have other "
            "bits. Decode with SPECFRAME_RUNNER=eager"
        )
        self.reason = reason

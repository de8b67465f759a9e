"""Every exception that specframe raises on purpose; the command line prints one sentence."""

from __future__ import annotations

from typing import Literal


class SpecframeError(Exception):
    """The base class of all errors of specframe; the message says what, where and the fix."""


class InputError(SpecframeError):
    """The user gave something that cannot be used: an argument, a prompt, a file."""


class OptionError(InputError):
    """An option is unknown, of the wrong type or out of range."""


class UnknownNameError(InputError):
    """Nothing is registered under a name; the message lists the names and the nearest match.

    ``message`` is that message alone. ``broken`` are the messages about plug-ins that could not be
    loaded and may have had the name. ``str()`` of the error has both.
    """

    def __init__(self, message: str, broken: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join((message, *broken)))
        self.message = message
        self.broken = broken


class ModelError(InputError):
    """A model cannot be loaded, its architecture cannot be split, or the probe refuses it."""


class AdapterError(InputError):
    """A trained part (an adapter) is missing, damaged or made for another model."""


class PluginError(SpecframeError):
    """A plug-in broke its contract; the message names it, its distribution and version.

    Where the core finds the fault, ``part`` is the drafter, verifier or stop policy at fault (None:
    the one of that ``kind``: "drafter", "verifier" or "stop policy"), and ``method`` the name of
    its method that gave the wrong answer ("" for a declaration; None: not known). ``is_named``
    says whether the message already names the plug-in.
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
    """The model produced values that are not finite, or the loss of a training did."""


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

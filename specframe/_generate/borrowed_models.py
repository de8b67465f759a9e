"""Decoders on models that belong to others: made once, dropped with the model.

A decoder reads its model through a weak proxy, so one dictionary with weak keys finds it again and
nothing lives longer than the model. The addresses and version counters of all weights say whether
it is still the model that was probed.
"""

from __future__ import annotations

import weakref
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from specframe._contracts.drafter import Drafter
from specframe._contracts.stop_policy import StopPolicy
from specframe._contracts.verifier import Verifier
from specframe._decoder.decoder import Decoder, load

MOST_DECODERS = 4  # of one model; each has a cache of its own


@attrs.frozen
class Wanted:
    """Say which decoder is wanted; two that are equal are one."""

    strategy: str | Drafter
    options: dict[str, object]
    verifier: str | Verifier | None
    stop_policy: str | StopPolicy | None
    exact: bool

    def on(self, model: Any) -> Decoder:
        """Load the decoder; raises SpecframeError in one sentence."""
        return load(
            model,
            strategy=self.strategy,
            options=self.options,
            verifier=self.verifier,
            stop_policy=self.stop_policy,
            exact=self.exact,
        )


@attrs.frozen(eq=False)
class _Entry:
    wanted: Wanted
    stamp: object
    decoder: Decoder


class Lent:
    """Keep the last few decoders of each model that belongs to others.

    It keeps no model alive: decoders read theirs through a weak proxy and are dropped with it. A
    model whose weights have changed is probed and loaded again.
    """

    def __init__(self) -> None:
        """Begin without models; this object alone owns the dictionary."""
        self._entries: weakref.WeakKeyDictionary[nn.Module, list[_Entry]] = (
            weakref.WeakKeyDictionary()
        )

    def decoder(self, model: nn.Module, wanted: Wanted) -> Decoder:
        """Return the wanted decoder on ``model``, made on the first call."""
        stamp = _stamp(model)
        fresh = [each for each in self._entries.get(model, []) if each.stamp == stamp]
        entry = next((each for each in fresh if each.wanted == wanted), None)
        if entry is None:
            entry = _Entry(wanted, stamp, wanted.on(weakref.proxy(model)))
        others = [each for each in fresh if each is not entry]
        self._entries[model] = [entry, *others][:MOST_DECODERS]
        return entry.decoder


def _stamp(model: nn.Module) -> object:
    """Return what changes if a weight is replaced, moved, cast or written to.

    Writing through ``weight.data`` leaves no trace.
    """
    return [_stamp_of(tensor) for tensor in (*model.parameters(), *model.buffers())]


def _stamp_of(tensor: Tensor) -> tuple[int, int, int, torch.dtype]:
    try:
        address = tensor.data_ptr()
    except RuntimeError:  # a subclass without storage of its own
        address = 0
    version = 0 if tensor.is_inference() else tensor._version  # noqa: SLF001 (no public name)
    return id(tensor), address, version, tensor.dtype

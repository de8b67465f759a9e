"""The lower part of a target: runs layers on placed tokens. It knows no stops and no commits.

The engine runs layers and knows no stops; ``Target`` adds prefill, score, commit and the clock. So
tests can replace the engine by one that answers from a table, by *what its masks let it see*: the
loop, trees, placements and commits are tested without weights.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection
from typing import Protocol

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor

from specframe._engine.attention import Pass, Rotary
from specframe._engine.cache import SlotCache
from specframe._engine.family import Split
from specframe._engine.packing import packed, unpacked
from specframe._engine.placement import Placement

PREFILL_CHUNK = 512
Step = Callable[[Tensor, Placement], Tensor]
Decide = Callable[[Tensor], Tensor]


@attrs.frozen(eq=False)
class Filled:
    """Hold what a prefill returns beside the cache: the last hidden state and the taps.

    ``taps`` maps a number of layers run (0 = embeddings) to the states after them.
    """

    last: Float[Tensor, "one hidden"]
    taps: dict[int, Float[Tensor, "token hidden"]]


class Engine(abc.ABC):
    """Run ranges of layers on placed tokens, with one cache for all of them.

    ``exact``: what runs with a token, before it or how often never changes the bits of its states.
    Only ``open`` raises an error of specframe's.
    """

    exact: bool = False
    num_layers: int
    vocab_size: int
    hidden_size: int
    context: int
    device: torch.device
    dtype: torch.dtype

    @abc.abstractmethod
    def open(self, batch: int, slots: int) -> None:
        """Have a cache of at least ``slots`` slots for ``batch`` rows; its content may change.

        Raises MemoryShortageError where there is not enough memory.
        """

    @abc.abstractmethod
    def fill(self, row: int, tokens: list[int], taps: Collection[int] = ()) -> Filled:
        """Run a prompt through all layers in chunks; it fills slots 0 and up of one row.

        ``taps`` are numbers of layers run; the answer has the states after them.
        """

    @abc.abstractmethod
    def run(  # noqa: PLR0913 (two options that most callers leave out)
        self,
        hidden: Float[Tensor, "batch token hidden"],
        placement: Placement,
        lo: int,
        hi: int,
        *,
        skip: Collection[int] = (),
        taps: Collection[int] = (),
    ) -> tuple[Float[Tensor, "batch token hidden"], dict[int, Tensor]]:
        """Run layers ``lo`` to ``hi`` - 1 except those in ``skip``; write their cache.

        Returns the hidden states after them, and a dictionary that maps each of ``taps`` (a number
        of layers run) to the states there, ``[batch, token, hidden]``.
        """

    @abc.abstractmethod
    def embed(self, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token hidden"]:
        """Return what the first layer reads, without learned positions: ``run`` adds those."""

    @abc.abstractmethod
    def norm(
        self, hidden: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token hidden"]:
        """Apply the target's final norm."""

    @abc.abstractmethod
    def logits(
        self, normed: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token vocab"]:
        """Apply the target's head, with soft-capping and scaling if it has them."""

    @abc.abstractmethod
    def gather(self, sources: list[list[int]], starts: list[int]) -> None:
        """Move each row's slots ``sources[b]``, in every layer, to ``starts[b]`` and up."""

    def move(
        self,
        sources: Int[Tensor, "batch depth"],
        starts: Int[Tensor, " batch"],
        counts: Int[Tensor, " batch"],
    ) -> None:
        """Do what ``gather`` does to the first ``counts[b]`` of each row's ``sources``."""
        moved = zip(sources.tolist(), counts.tolist(), strict=True)
        self.gather([slots[:count] for slots, count in moved], starts.tolist())

    @abc.abstractmethod
    def keep(self, kept: list[int]) -> None:
        """Keep only the rows ``kept``, in this order."""

    @abc.abstractmethod
    def twin(self) -> Engine:
        """Return an engine on the same weights with a cache of its own."""

    def rounded(self, slots: int) -> int:
        """Return how many slots to allocate for a cache that needs ``slots``."""
        return slots

    def capture(self, step: Step) -> Step:
        """Return what runs ``step`` fastest; see ``Target.capture``."""
        return step

    def recorded(self, step: Decide) -> Decide | None:
        """Return a recording of ``step``, which maps whole numbers ``[batch, token, any]``.

        None: the host computes them sooner.
        """
        return None


class Opener(Protocol):
    """Load models beside the target; they read the same tokens and run on its device."""

    def __call__(self, model: str, *, trust_remote_code: bool, revision: str | None) -> Engine:
        """Return the engine of ``model``, or raise ModelError or InputError in one sentence."""


class LayerEngine(Engine):
    """Run a transformers model that a family adapter has split."""

    def __init__(self, split: Split) -> None:
        """Take the model apart; the cache is allocated by ``open``."""
        self._split = split
        self.num_layers = len(split.layers)
        self.vocab_size, self.hidden_size = split.vocab_size, split.hidden_size
        self.context = split.context
        self.device, self.dtype = split.device, split.dtype
        self._cache: SlotCache | None = None
        self._rotary: Rotary = None

    def open(self, batch: int, slots: int) -> None:
        """Allocate, or reuse the buffers of the decode before if they are large enough."""
        if self._cache is not None and self._cache.reopen(batch, slots):
            return
        split = self._split
        self._cache = None  # frees the old buffers before the new ones are taken
        self._cache = SlotCache(
            self.num_layers,
            batch,
            split.kv_heads,
            slots,
            split.head_dim,
            self.dtype,
            self.device,
        )
        self._rotary = split.rotary(torch.arange(slots, device=self.device))

    def fill(self, row: int, tokens: list[int], taps: Collection[int] = ()) -> Filled:
        """Run the prompt through all layers in chunks, so that no n x n mask is ever made."""
        assert self._cache is not None
        cache = self._cache.row(row)
        kept: dict[int, list[Tensor]] = {layer: [] for layer in taps}
        for start in range(0, len(tokens), PREFILL_CHUNK):
            chunk = torch.tensor([tokens[start : start + PREFILL_CHUNK]], device=self.device)
            placement = _chunk(start, chunk.shape[1], self.device)
            hidden = self._enter(self.embed(chunk), placement)
            hidden, tapped = self._run(cache, hidden, placement, range(self.num_layers), taps)
            for layer, states in tapped.items():
                kept[layer].append(states[0])
        return Filled(hidden[:, -1], {layer: torch.cat(parts) for layer, parts in kept.items()})

    def run(  # noqa: PLR0913 (two options that most callers leave out)
        self,
        hidden: Float[Tensor, "batch token hidden"],
        placement: Placement,
        lo: int,
        hi: int,
        *,
        skip: Collection[int] = (),
        taps: Collection[int] = (),
    ) -> tuple[Float[Tensor, "batch token hidden"], dict[int, Tensor]]:
        """Run layers ``lo`` to ``hi`` - 1 on the batch's cache."""
        assert self._cache is not None
        layers = range(lo, hi) if not skip else [i for i in range(lo, hi) if i not in skip]
        if lo == 0:
            hidden = self._enter(hidden, placement)
        return self._run(self._cache, hidden, placement, layers, taps)

    def _enter(self, hidden: Tensor, placement: Placement) -> Tensor:
        learned = self._split.positions
        return hidden if learned is None else hidden + learned(placement.positions)

    def _run(
        self,
        cache: SlotCache,
        hidden: Tensor,
        placement: Placement,
        layers: Collection[int],
        taps: Collection[int],
    ) -> tuple[Tensor, dict[int, Tensor]]:
        split = self._split
        shared = Pass(placement, self._rotary, split.groups, self.dtype)
        packing = placement.packing
        hidden = packed(packing, hidden)
        kept: dict[int, Tensor] = {}
        for index in layers:
            if index in taps:
                kept[index] = unpacked(packing, hidden)
            hidden = split.layers[index](hidden, cache, index, shared)
        hidden = unpacked(packing, hidden)
        if layers and max(layers) + 1 in taps:
            kept[max(layers) + 1] = hidden
        return hidden, kept

    def embed(self, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token hidden"]:
        """Look the tokens up."""
        return self._split.embed(tokens)

    def norm(
        self, hidden: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token hidden"]:
        """Apply the model's final norm."""
        return self._split.norm(hidden)

    def logits(
        self, normed: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token vocab"]:
        """Apply the model's head."""
        return self._split.head(normed)

    def gather(self, sources: list[list[int]], starts: list[int]) -> None:
        """Commit accepted paths in the cache."""
        assert self._cache is not None
        self._cache.gather(sources, starts)

    def keep(self, kept: list[int]) -> None:
        """Keep only the rows ``kept``, in this order."""
        assert self._cache is not None
        self._cache.keep(kept)

    @property
    def split(self) -> Split:
        """Return the model's parts."""
        return self._split

    def twin(self) -> LayerEngine:
        """Return an engine on the same split."""
        return LayerEngine(self._split)

    @property
    def cache(self) -> SlotCache:
        """Return the cache, for inspection."""
        assert self._cache is not None
        return self._cache


def _chunk(start: int, count: int, device: torch.device) -> Placement:
    line = torch.arange(start, start + count, device=device)[None]
    if start == 0:
        return Placement(line, line, count, 0, causal=True)
    keys = torch.arange(start + count, device=device)
    return Placement(line, line, start + count, start, visible=keys[None, None] <= line[..., None])

"""The adapter as drafting runs it: on its own cache, a few positions at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from specframe import (
    Pass,
    Placement,
    Projection,
    RMSNorm,
    RotaryTable,
    SlotCache,
    packed,
    unpacked,
)
from specframe_kangaroo._adapter import Adapter, AdapterConfig, rotary_table

Forward = Callable[[Tensor, Placement], Tensor]


class CachedAdapter:
    """Run an adapter's layers; owns a cache with one entry per position that was run.

    It consumes ``adapter``: its weights move into the layout that is fastest for few rows.
    """

    def __init__(
        self,
        adapter: Adapter,
        dtype: torch.dtype,
        device: torch.device,
        *,
        capture: Callable[[Forward], Forward] = lambda forward: forward,
    ) -> None:
        """Take the adapter's weights in the target's dtype; ``capture`` is the target's."""
        adapter = adapter.to(device, dtype)
        self._capture = capture
        self._config = adapter.config
        self._dtype, self._device = dtype, device
        self._layers = [_Layer(layer, adapter.config) for layer in adapter.layers]
        self._norm = RMSNorm(adapter.norm.weight.detach(), adapter.config.rms_norm_eps)
        self._groups = adapter.config.num_attention_heads // adapter.config.num_key_value_heads
        self._cache: SlotCache | None = None
        self._rotary: RotaryTable | None = None

    def open(self, batch: int, slots: int) -> None:
        """Provide a cache for ``batch`` rows of ``slots`` slots; large enough buffers are kept."""
        if self._cache is not None and self._cache.reopen(batch, slots):
            return
        config = self._config
        self._cache = SlotCache(
            len(self._layers),
            batch,
            config.num_key_value_heads,
            slots,
            config.head_dim,
            self._dtype,
            self._device,
        )
        cos, sin = rotary_table(config, slots, self._device)
        self._rotary = RotaryTable(cos.to(self._dtype), sin.to(self._dtype))
        self._step = self._capture(self._forward)

    def fill(
        self, row: int, hidden: Float[Tensor, "one token hidden"], placement: Placement
    ) -> None:
        """Run a prompt's exit-layer states into one row of the cache."""
        assert self._cache is not None
        self._run(self._cache.row(row), hidden, placement)

    def __call__(
        self, hidden: Float[Tensor, "batch token hidden"], placement: Placement
    ) -> Float[Tensor, "batch token hidden"]:
        """Return what the target's head reads, for exit-layer states at ``placement``."""
        return self._step(hidden, placement)

    def gather(self, sources: list[list[int]], starts: list[int]) -> None:
        """Move each row's slots ``sources[b]`` to ``starts[b]`` onwards: an accepted path."""
        assert self._cache is not None
        self._cache.gather(sources, starts)

    def keep(self, kept: list[int]) -> None:
        """Continue with the rows ``kept`` alone."""
        assert self._cache is not None
        self._cache.keep(kept)

    def _forward(self, hidden: Tensor, placement: Placement) -> Tensor:
        assert self._cache is not None
        return self._norm(self._run(self._cache, hidden, placement))

    def _run(self, cache: SlotCache, hidden: Tensor, placement: Placement) -> Tensor:
        shared = Pass(placement, self._rotary, self._groups, self._dtype)
        hidden = packed(placement.packing, hidden)
        for index, layer in enumerate(self._layers):
            hidden = layer(hidden, cache, index, shared)
        return unpacked(placement.packing, hidden)


class _Layer:
    """One attention block without a feed-forward part."""

    def __init__(self, block: Any, config: AdapterConfig) -> None:
        attention = block.self_attn
        self._config = config
        self._norm = RMSNorm(block.input_layernorm.weight.detach(), config.rms_norm_eps)
        self._qkv = Projection([attention.q_proj, attention.k_proj, attention.v_proj], owned=True)
        self._out = Projection([attention.o_proj], owned=True)

    def __call__(self, hidden: Tensor, cache: SlotCache, index: int, shared: Pass) -> Tensor:
        config = self._config
        batch, length, _ = hidden.shape
        queries = config.num_attention_heads
        keys = queries + config.num_key_value_heads
        heads = self._qkv(self._norm(hidden)).view(batch, length, -1, config.head_dim)
        turned = shared.rotate(heads[:, :, :keys])
        key, value = cache.put(index, turned[:, :, queries:], heads[:, :, keys:], shared.placement)
        return hidden + self._out(shared.attend(turned[:, :, :queries], key, value))

"""Fusion: what lies between the matrix products of a layer, compiled into few kernels.

All layers of a kind share one compilation for a width and all reaches. Cache and attention are left
out of it (``Apart``): their shapes change as the text grows, and there is nothing to fuse in them.
cuDNN's attention is kept out, because it plans anew for each shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from specframe._engine.attention import Pass
from specframe._engine.cache import SlotCache
from specframe._engine.family import Layer
from specframe._engine.placement import Placement
from specframe._engine.runners.fallback import FallBack, go_on

SHAPES = 256  # kinds of layers times shapes; the compiler's own limit is made for fewer
# The last two have the compiler raise where it would run a layer uncompiled in silence.
SETTINGS: dict[str, Any] = {
    "recompile_limit": SHAPES,
    "fail_on_recompile_limit_hit": True,
    "suppress_errors": False,
}


class Fusion:
    """Compile the layers of a model; where that fails, say so once and run them uncompiled.

    All layers of one kind share what is compiled, and so do all reaches: the cache and attention
    are left out, since there is nothing to fuse in them and their shapes change as the text grows.
    """

    def __init__(
        self, backend: str | Callable[..., Any] = "inductor", fall_back: FallBack = go_on
    ) -> None:
        """Compile nothing yet; that happens in the first call of each shape.

        Where ``fall_back`` raises, no layer ever runs uncompiled.
        """
        self.has_failed = False
        self._fall_back = fall_back
        self._run = torch.compile(_run_layer, backend=backend, dynamic=False)

    def of(self, layer: Layer) -> Layer:
        """Return a layer that runs compiled."""

        def fused(hidden: Tensor, cache: SlotCache, index: int, shared: Pass, /) -> Tensor:
            return self._call(layer, hidden, Apart(cache, index, shared))

        return fused

    def _call(self, layer: Layer, hidden: Tensor, apart: Apart) -> Tensor:
        if self.has_failed:
            return layer(hidden, apart.cache, apart.index, apart.shared)
        try:
            # The compiler's settings have no public name.
            with torch._dynamo.config.patch(SETTINGS):  # noqa: SLF001
                return self._run(layer, hidden, apart)
        except Exception as error:  # noqa: BLE001 (compilers raise anything)
            self._fall_back("fused kernels", "torch.compile failed", error)
            self.has_failed = True
            return self._call(layer, hidden, apart)


class Apart:
    """Replace cache and pass in a compiled layer, which must not look into them.

    What ``put`` answers is given to ``attend`` unread, so that no shape of it is compiled in.
    """

    def __init__(self, cache: SlotCache, index: int, shared: Pass) -> None:
        """Put into layer ``index`` of ``cache``, attend as ``shared`` does."""
        self.cache, self.index, self.shared = cache, index, shared
        self._held: tuple[Tensor, Tensor] | None = None

    @property
    def placement(self) -> Placement:
        """Return the placement of the pass."""
        return self.shared.placement

    def rotate(self, states: Tensor, kind: str | None = None) -> Tensor:
        """Rotate as the pass does."""
        return self.shared.rotate(states, kind)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def put(
        self, index: int, key: Tensor, value: Tensor, placement: Placement
    ) -> tuple[Apart, Apart]:
        """Write to the cache, and keep what it answers."""
        self._held = self.cache.put(self.index, key, value, placement)
        return self, self

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def attend(  # noqa: PLR0913 (what Pass.attend takes)
        self,
        query: Tensor,
        key: Apart,
        value: Apart,
        *,
        scale: float | None = None,
        window: int | None = None,
        softcap: float | None = None,
    ) -> Tensor:
        """Attend to what ``put`` kept."""
        assert self._held is not None
        held_key, held_value = self._held
        return self.shared.attend(
            query, held_key, held_value, scale=scale, window=window, softcap=softcap
        )


def _run_layer(layer: Layer, hidden: Tensor, apart: Any) -> Tensor:
    return layer(hidden, cast("SlotCache", apart), 0, cast("Pass", apart))

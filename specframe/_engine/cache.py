"""The slot cache: keys and values in buffers that are allocated once and written in place."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from specframe._engine.placement import Placement
from specframe._engine.transfer import to_device
from specframe._errors import MemoryShortageError


class Span:
    """Hold a pass's views of every layer's buffers, where its tokens take consecutive slots.

    A slice costs a layer more than the copy into it; made for all layers at once, it costs a tenth.
    """

    def __init__(self, storage: Tensor, placement: Placement) -> None:
        """Slice ``storage [layer, 2, batch, heads, slot, head_dim]``."""
        assert placement.start is not None
        end = placement.start + placement.positions.shape[1]
        written = storage[..., placement.start : end, :].transpose(3, 4)
        self._written = written.flatten(0, 1).unbind()
        self._read = storage[..., : placement.reach, :].flatten(0, 1).unbind()

    def put(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write one layer's keys and values; return all that is within reach."""
        at = 2 * layer
        self._written[at].copy_(key)
        self._written[at + 1].copy_(value)
        return self._read[at], self._read[at + 1]


class SlotCache:
    """Hold keys and values of ``layers`` layers for ``batch`` rows of ``slots`` slots.

    All layers share one length per row, and it is not kept here: the owner of the cache knows which
    slots hold committed tokens, and says with each placement what may be seen. To roll back is to
    forget a length; nothing moves and nothing is freed. The buffers start as zeros, because a
    masked slot that held NaN would still poison a softmax. Only its creation raises an error of
    specframe's: MemoryShortageError.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (the shape of one tensor)
        self,
        layers: int,
        batch: int,
        heads: int,
        slots: int,
        head_dim: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        """Allocate everything; raises MemoryShortageError where there is not enough memory."""
        shape = (layers, 2, batch, heads, slots, head_dim)
        try:
            self._whole = self._storage = torch.zeros(shape, dtype=dtype, device=device)
        except RuntimeError as error:
            size = torch.Size(shape).numel() * dtype.itemsize / 1e9
            raise MemoryShortageError(
                f"the cache needs {size:.1f} GB for {batch} row(s) of {slots} slots on {device}: "
                "lower max_new_tokens, the prompt's length or the batch size"
            ) from error
        self._numbers = torch.arange(batch, device=device)[:, None]
        self._bind()

    def _bind(self) -> None:
        self.batch, self.slots = self._storage.shape[2], self._storage.shape[4]
        self._keys = [layer[0] for layer in self._storage]
        self._values = [layer[1] for layer in self._storage]
        self._rows = self._numbers[: self.batch]
        self._placed: tuple[Placement, Span] | None = None

    def put(
        self,
        layer: int,
        key: Float[Tensor, "rows token heads head_dim"],
        value: Float[Tensor, "rows token heads head_dim"],
        placement: Placement,
    ) -> tuple[Float[Tensor, "batch heads reach d"], Float[Tensor, "batch heads reach d"]]:
        """Write one layer's new keys and values; return views of all that is within reach.

        Where the placement has a packing, only those of the real tokens are given, packed.
        """
        if placement.start is not None:
            return self._span(placement).put(layer, key, value)
        keys, values = self._keys[layer], self._values[layer]
        if placement.packing is not None:
            rows, slots = placement.packing.rows, placement.packing.pack(placement.slots)[0]
            keys[rows, :, slots] = key[0]
            values[rows, :, slots] = value[0]
        else:
            keys[self._rows, :, placement.slots] = key
            values[self._rows, :, placement.slots] = value
        return keys[:, :, : placement.reach], values[:, :, : placement.reach]

    def _span(self, placement: Placement) -> Span:
        """Return the views that all layers of one pass share in the making."""
        if self._placed is None or self._placed[0] is not placement:
            self._placed = placement, Span(self._storage, placement)
        return self._placed[1]

    def reopen(self, batch: int, slots: int) -> bool:
        """Begin another decode in the same buffers, filled with zeros, if they are large enough.

        False: they are too small. Row b of the batch has the same address in every decode, and
        after ``keep``: what was recorded for a number of rows stays valid.
        """
        whole = self._whole
        if batch > whole.shape[2] or slots > whole.shape[4]:
            return False
        self._storage = whole[:, :, :batch]
        self._storage.zero_()
        self._bind()
        return True

    def row(self, index: int) -> SlotCache:
        """Return a cache of one row that shares this one's buffers."""
        view = SlotCache.__new__(SlotCache)
        view._whole = view._storage = self._storage[:, :, index : index + 1]  # noqa: SLF001 (its own class)
        view._numbers = self._numbers[:1]  # noqa: SLF001
        view._bind()  # noqa: SLF001
        return view

    def gather(self, sources: list[list[int]], starts: list[int]) -> None:
        """Move each row's slots ``sources[b]`` to consecutive ones, ``starts[b]`` the first.

        This is the commit of a tree: the accepted path, in order, right after the prefix.
        """
        for row, (source, start) in enumerate(zip(sources, starts, strict=True)):
            if source == list(range(start, start + len(source))):
                continue
            index = to_device(source, self._storage.device)
            moved = self._storage[:, :, row].index_select(3, index)
            self._storage[:, :, row, :, start : start + len(source)] = moved

    def move(
        self,
        sources: Int[Tensor, "batch depth"],
        starts: Int[Tensor, " batch"],
        counts: Int[Tensor, " batch"],
    ) -> None:
        """Do what ``gather`` does, where no host knows the numbers: ``counts`` slots of each row.

        The rest of ``sources`` moves within the last slot, which nothing sees.
        """
        steps = torch.arange(sources.shape[1], device=sources.device)
        is_real = steps < counts[:, None]
        unseen = self.slots - 1
        source = torch.where(is_real, sources, unseen)
        place = torch.where(is_real, starts[:, None] + steps, unseen)
        moved = self._storage[:, :, self._rows, :, source]
        self._storage[:, :, self._rows, :, place] = moved

    def keep(self, kept: list[int]) -> None:
        """Keep only the rows ``kept``, in this order; they move to the front."""
        index = to_device(kept, self._storage.device)
        moved = self._storage.index_select(2, index)
        self._storage = self._storage[:, :, : len(kept)]
        self._storage.copy_(moved)
        self._bind()

    def read(
        self, layer: int, row: int, slots: list[int]
    ) -> tuple[Float[Tensor, "heads slot head_dim"], Float[Tensor, "heads slot head_dim"]]:
        """Return copies of one row's keys and values at ``slots``, for inspection."""
        return self._keys[layer][row][:, slots], self._values[layer][row][:, slots]

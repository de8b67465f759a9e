"""A shortage of memory: how it differs from other faults, and its message."""

from __future__ import annotations

import torch

from specframe._errors import MemoryShortageError


def ran_out_of_memory(error: Exception) -> bool:
    """Tell a shortage of memory from other faults."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def shortage_while_decoding(error: Exception) -> MemoryShortageError:
    """Return the error that says what to lower."""
    return MemoryShortageError(
        f"out of memory while decoding ({' '.join(str(error).split())[:120]}): lower "
        "max_new_tokens, batch_size or the prompt's length, or use a narrower dtype"
    )

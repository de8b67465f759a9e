"""Read and write trained adapters: our own format, and the reference implementation's.

An adapter is a folder with ``config.json`` and ``model.safetensors``. Our config holds the
adapter's shape, how it is best used, and its base model. The reference's config is a LlamaConfig,
and its weights may be in ``pytorch_model.bin``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from safetensors.torch import save

from specframe import AdapterError
from specframe_kangaroo._adapter import Adapter
from specframe_kangaroo._config_file import (
    MARKER,
    NAME,
    VERSION,
    adapter_config,
    read_config_file,
)
from specframe_kangaroo._weights import read_adapter


@attrs.frozen(eq=False)
class Checkpoint:
    """An adapter and what was stored with it; None where nothing was.

    ``exit_layer`` and ``steps`` are at least 1, the thresholds (probabilities) at least 0.
    ``fingerprint`` is ``specframe.fingerprint`` of the base model. ``metadata`` is for people: how
    the adapter was trained. ``train`` stores there ``sequence_length``, ``batch_size``,
    ``gradient_accumulation``, ``seed``, ``learning_rate``, ``exit_layer``, ``base``, ``data``,
    ``processes``, ``num_steps``, ``loss``, ``agreement``, ``overlap``, the last three also as
    ``eval_...`` of held-out data.
    """

    adapter: Adapter
    exit_layer: int | None = None
    steps: int | None = None
    threshold: float | None = None
    tree_threshold: float | None = None
    fingerprint: str | None = None
    metadata: Mapping[str, Any] = attrs.field(factory=dict)


def load_checkpoint(folder: str | os.PathLike[str]) -> Checkpoint:
    """Read the adapter in ``folder``, in float32, to the CPU.

    Raises ``AdapterError`` naming the file, what is wrong with it, and the fix.
    """
    file = read_config_file(Path(folder))
    adapter = read_adapter(Path(folder), adapter_config(file))
    if not file.is_ours:
        return Checkpoint(adapter)
    stored = file.entries
    return Checkpoint(
        adapter,
        exit_layer=file.optional_integer("exit_layer"),
        steps=file.optional_integer("steps"),
        threshold=file.optional_number("threshold"),
        tree_threshold=file.optional_number("tree_threshold"),
        fingerprint=stored.get("fingerprint"),
        metadata=stored.get("metadata") or {},
    )


def save_checkpoint(folder: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write ``checkpoint`` to ``folder``, made if missing; each file is written completely.

    Raises OSError where it cannot write.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    tensors = {
        name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in checkpoint.adapter.state_dict().items()
    }
    _replace(Path(folder) / "model.safetensors", save(tensors, metadata={"format": "pt"}))
    _replace(Path(folder) / NAME, _config_text(checkpoint).encode())


def check_base(checkpoint: Checkpoint, hidden_size: int, base: str) -> None:
    """Raise ``AdapterError`` unless ``checkpoint`` fits the model with fingerprint ``base``.

    The reference stores no fingerprint; its adapters are accepted if the hidden size fits.
    """
    check_hidden_size(checkpoint, hidden_size)
    if checkpoint.fingerprint not in (None, base):
        raise AdapterError(
            f"The adapter was trained for the base model {checkpoint.fingerprint} and this one is "
            f"{base}; load that model, or train an adapter with `specframe train kangaroo`."
        )


def check_hidden_size(checkpoint: Checkpoint, hidden_size: int) -> None:
    """Raise ``AdapterError`` if ``checkpoint`` cannot read hidden states of ``hidden_size``."""
    own = checkpoint.adapter.config.hidden_size
    if own != hidden_size:
        raise AdapterError(
            f"The adapter is for hidden size {own} and the model has {hidden_size}; "
            "give the adapter of this model, or train one with `specframe train kangaroo`."
        )


def _config_text(checkpoint: Checkpoint) -> str:
    fields = ("exit_layer", "steps", "threshold", "tree_threshold", "fingerprint", "metadata")
    stored = {name: getattr(checkpoint, name) for name in fields}
    entries = {
        MARKER: VERSION,
        **attrs.asdict(checkpoint.adapter.config),
        **{name: value for name, value in stored.items() if value is not None},
    }
    return json.dumps(entries, indent=2) + "\n"


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""Read an adapter's tensors, strictly: what does not fit is named."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from specframe import AdapterError
from specframe_kangaroo._adapter import Adapter, AdapterConfig

FILES = ("model.safetensors", "pytorch_model.bin")
PARALLEL_PREFIX = "module."  # a multi-GPU run of the reference adds it to every name
UNUSED_SUFFIXES = ("rotary_emb.inv_freq",)
UNUSED_PREFIXES = ("embed_tokens.",)


def read_adapter(folder: Path, config: AdapterConfig) -> Adapter:
    """Return the adapter whose tensors are in ``folder``, in float32, on the CPU.

    Raises ``AdapterError`` naming the file and the tensor that is missing, surplus, of another
    shape or not finite, or the file that is damaged or could run a program.
    """
    path = _find(folder)
    tensors = _clean(_read(path))
    with torch.device("meta"):
        adapter = Adapter(config)
    _check(tensors, adapter.state_dict(), path)
    adapter.load_state_dict({name: value.float() for name, value in tensors.items()}, assign=True)
    return adapter


def _find(folder: Path) -> Path:
    for name in FILES:
        if (folder / name).is_file():
            return folder / name
    raise AdapterError(
        f"{folder} holds neither {' nor '.join(FILES)}; copy the adapter's weights there."
    )


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise AdapterError(
            f"{path} is refused: it is a pickle that holds more than tensors, and could run any "
            "program; save its state dict as model.safetensors."
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise AdapterError(f"{path} cannot be read; it is damaged, copy it again.") from error
    if not isinstance(loaded, dict) or not all(isinstance(x, Tensor) for x in loaded.values()):
        raise AdapterError(f"{path} holds no state dict; save the adapter's state_dict() there.")
    return loaded


def _clean(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    stripped = {name.removeprefix(PARALLEL_PREFIX): value for name, value in tensors.items()}
    return {
        name: value
        for name, value in stripped.items()
        if not name.endswith(UNUSED_SUFFIXES) and not name.startswith(UNUSED_PREFIXES)
    }


def _check(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    for name in wanted:
        if name not in tensors:
            raise AdapterError(
                f"{path} lacks the tensor {name}; give the folder of a Kangaroo adapter, "
                "not of a base model, or train one anew."
            )
    for name, value in tensors.items():
        if name not in wanted:
            raise AdapterError(
                f"{path} holds the unexpected tensor {name}; this is another kind of adapter, or "
                f"config.json gives too few num_hidden_layers."
            )
        if value.shape != wanted[name].shape:
            raise AdapterError(
                f"{path}: the tensor {name} is {list(value.shape)} and should be "
                f"{list(wanted[name].shape)}; correct the shape that config.json gives."
            )
        if not value.isfinite().all():
            raise AdapterError(f"{path}: the tensor {name} is not finite; train the adapter anew.")

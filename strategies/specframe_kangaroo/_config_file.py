"""Read an adapter's ``config.json``: ours, or the reference's."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import attrs

from specframe import AdapterError
from specframe_kangaroo._adapter import AdapterConfig

NAME = "config.json"
MARKER = "specframe_kangaroo"
VERSION = 1
REFERENCE_ROPE_THETA = 10_000.0  # the reference computes with it, and ignores its config


@attrs.frozen
class ConfigFile:
    """Read typed entries of a ``config.json``; ``AdapterError`` names a wrong one."""

    path: Path
    entries: dict[str, Any]

    @property
    def is_ours(self) -> bool:
        """Tell our own format from the reference's LlamaConfig."""
        return MARKER in self.entries

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a whole number of at least 1."""
        value = self.optional_integer(name)
        if value is None:
            value = default
        if value is None:
            raise AdapterError(f"{self.path} lacks {name}; copy the adapter's own config there.")
        return value

    def optional_integer(self, name: str) -> int | None:
        """Return a whole number of at least 1, or None if there is none."""
        value = self.entries.get(name)
        if value is None or (type(value) is int and value >= 1):
            return value
        raise AdapterError(f"{self.path}: {name} is {value!r}; give a whole number of at least 1.")

    def optional_number(self, name: str) -> float | None:
        """Return a number of at least 0, or None if there is none."""
        value = self.entries.get(name)
        if value is None:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or math.isnan(value) or value < 0:
            raise AdapterError(f"{self.path}: {name} is {value!r}; give a number of at least 0.")
        return float(value)

    def number(self, name: str, default: float) -> float:
        """Return a finite number above 0."""
        value = self.optional_number(name)
        if value is not None and not (0 < value < math.inf):
            raise AdapterError(f"{self.path}: {name} is {value!r}; give a number above 0.")
        return default if value is None else value


def read_config_file(folder: Path) -> ConfigFile:
    """Read ``folder``'s config; raise ``AdapterError`` if it is missing or cannot be read."""
    path = folder / NAME
    if not folder.is_dir():
        raise AdapterError(f"There is no adapter folder {folder}; check the path.")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AdapterError(f"{folder} holds no {NAME}; copy the adapter's own there.") from error
    except (ValueError, OSError) as error:
        raise AdapterError(f"{path} cannot be read as JSON ({error}); copy it again.") from error
    if not isinstance(entries, dict):
        raise AdapterError(f"{path} is no JSON object; copy the adapter's own config there.")
    if entries.get(MARKER, VERSION) != VERSION:
        raise AdapterError(
            f"{path} is of format {entries[MARKER]!r} and this specframe reads {VERSION}; "
            "install the specframe that wrote it."
        )
    return ConfigFile(path, entries)


def adapter_config(file: ConfigFile) -> AdapterConfig:
    """Return the adapter's shape; the defaults are a LlamaConfig's."""
    hidden_size = file.integer("hidden_size")
    heads = file.integer("num_attention_heads")
    kv_heads = file.integer("num_key_value_heads", heads)
    if hidden_size % (2 * heads) or heads % kv_heads:
        raise AdapterError(
            f"{file.path}: hidden_size {hidden_size}, num_attention_heads {heads} and "
            f"num_key_value_heads {kv_heads} do not fit together; copy the adapter's own config."
        )
    theta = file.number("rope_theta", REFERENCE_ROPE_THETA)
    return AdapterConfig(
        hidden_size,
        heads,
        kv_heads,
        num_hidden_layers=file.integer("num_hidden_layers", 1),
        rms_norm_eps=file.number("rms_norm_eps", 1e-6),
        rope_theta=theta if file.is_ours else REFERENCE_ROPE_THETA,
    )

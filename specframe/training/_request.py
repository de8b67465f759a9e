"""The request to train something."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from specframe._errors import OptionError

DTYPES = ("auto", "float64", "float32", "bfloat16", "float16")


def _at_least(least: int) -> Callable[[Any, Any, Any], None]:
    def check(_: TrainRequest, field: attrs.Attribute[int | None], value: int | None) -> None:
        if value is not None and value < least:
            raise OptionError(f"{field.name} is {value}; give a whole number of at least {least}.")

    return check


def _check_learning_rate(
    _: TrainRequest, field: attrs.Attribute[float | None], value: float | None
) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise OptionError(f"{field.name} is {value}; give a number above 0, such as 3e-4.")


def _check_dtype(_: TrainRequest, field: attrs.Attribute[str], value: str) -> None:
    if value not in DTYPES:
        raise OptionError(f"{field.name} is {value!r}; give one of {', '.join(DTYPES)}.")


def _check_device(_: TrainRequest, field: attrs.Attribute[str], value: str) -> None:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        raise OptionError(f"{field.name} is {value!r}; give auto, cpu, cuda or cuda:N.")


@attrs.frozen(kw_only=True)
class TrainRequest:
    """Say what to train, on what, and where the result goes.

    ``model`` is a folder or a hub id, ``data`` and ``eval_data`` are paths that ``read_documents``
    reads, ``output`` is a folder. ``max_steps=None`` means one pass over the data,
    ``learning_rate=None`` the trainer's own choice. ``batch_size`` counts windows of
    ``sequence_length`` tokens (at least 2) per process; an optimiser step takes
    ``batch_size * gradient_accumulation`` of them in each process. ``dtype`` is auto, float64,
    float32, bfloat16 or float16; ``device`` is auto, cpu, cuda or cuda:N. ``adapter`` is a trained
    adapter to start from instead of fresh weights. ``exit_layer=None`` means that adapter's, else
    2. ``resume`` continues the run in ``output``; ``dry_run`` writes nothing.

    Raises ``OptionError`` for a value that is out of range.
    """

    model: str
    data: Path = attrs.field(converter=Path)
    output: Path = attrs.field(converter=Path)
    exit_layer: int | None = attrs.field(default=None, validator=_at_least(1))
    max_steps: int | None = attrs.field(default=1000, validator=_at_least(1))
    batch_size: int = attrs.field(default=8, validator=_at_least(1))
    sequence_length: int = attrs.field(default=512, validator=_at_least(2))
    learning_rate: float | None = attrs.field(default=None, validator=_check_learning_rate)
    gradient_accumulation: int = attrs.field(default=1, validator=_at_least(1))
    eval_data: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
    seed: int = attrs.field(default=0, validator=_at_least(0))
    dtype: str = attrs.field(default="auto", validator=_check_dtype)
    device: str = attrs.field(default="auto", validator=_check_device)
    resume: bool = False
    dry_run: bool = False
    adapter: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))

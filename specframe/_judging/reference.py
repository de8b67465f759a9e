"""The stock model in float64, which every way of decoding approximates.

It judges with the weights of the run and not with the engine's split of the model: a fault that
plain and speculative decoding share would pass before a judge that shares it too. How far rounding
takes a row from it is measured on plain decoding's rows alone. A bound from agreeing rows of both
ways would be widened by the fault itself: positions off by one (a fault that the tests plant) take
it from 0.00005 to 20.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import Any

import attrs
import torch
from jaxtyping import Float
from torch import Tensor

from specframe._engine.out_of_memory import ran_out_of_memory
from specframe._errors import MemoryShortageError
from specframe._loading.loading import Loaded, demo_folder, read_model
from specframe._words import dtype_name

REMEMBERED = 32  # prompts


class Reference:
    """Score prefixes with the stock model in float64; owns that copy of the weights.

    It is the stock model, not the engine's split of it, so that a fault that plain and speculative
    decoding share shows too. The weights are those of the run: read in its dtype, then widened.
    Nothing is loaded before the first question. The answers about the last ``REMEMBERED`` prompts
    are kept, since several strategies are judged on the same ones.
    """

    def __init__(self, loaded: Loaded) -> None:
        """Take the model of a decoder."""
        self._loaded = loaded
        self._model: Any = None
        self._told: dict[tuple[int, ...], tuple[list[int], Tensor]] = {}

    @torch.inference_mode()
    def rows(self, prompt: Sequence[int], tokens: Sequence[int]) -> Float[Tensor, "new vocab"]:
        """Return the logits that each of ``tokens`` was chosen from; raises MemoryShortageError."""
        known, rows = self._told.pop(tuple(prompt), ([], None))
        if rows is None or known[: len(tokens)] != list(tokens):
            known, rows = list(tokens), self._computed(prompt, tokens)
        self._told[tuple(prompt)] = (known, rows)
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        return rows[: len(tokens)]

    def _computed(self, prompt: Sequence[int], tokens: Sequence[int]) -> Tensor:
        try:
            if self._model is None:
                self._model = _in_float64(self._loaded)
            ids = torch.tensor([[*prompt, *tokens[:-1]]], device=self._model.device)
            logits = self._model(ids, use_cache=False, logits_to_keep=len(tokens)).logits
        except Exception as error:
            if not ran_out_of_memory(error):
                raise
            raise MemoryShortageError(
                "logits differ, and there is no memory for the model in float64, which would judge "
                f"that ({' '.join(str(error).split())[:120]}): use a smaller one of its family"
            ) from error
        rows: Tensor = logits[0].double().to(self._loaded.engine.device)
        return rows


def _in_float64(loaded: Loaded) -> Any:
    source, engine = loaded.source, loaded.engine
    model: Any = source.model
    if model is None or isinstance(model, str | os.PathLike):
        name = demo_folder() if model is None else model
        dtype = dtype_name(engine.dtype)
        in_its_dtype = attrs.evolve(source, dtype=dtype)
        model = read_model(os.fspath(name), in_its_dtype, torch.device("cpu"))
    else:
        model = copy.deepcopy(model).to("cpu")
    model = model.double().eval()
    try:
        return model.to(engine.device)
    except torch.OutOfMemoryError:  # slower, same logits
        return model.to("cpu")

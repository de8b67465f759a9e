"""Fit the map to a model by least squares, in one pass over the data: nothing is iterated.

The target stays as it is and shows its states. Of each state, the one before it and the token
between them are what it is to be forecast from.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import attrs
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from specframe import InputError, OptionError
from specframe.training import TrainRequest, Windows, read_documents, tokenize
from specframe_forecast._map import Forecast, save_forecast

RIDGE = 1.0  # keeps the sums invertible where there is little data
NOT_SERVED = (
    "exit_layer",
    "eval_data",
    "resume",
    "adapter",
    "gradient_accumulation",
    "learning_rate",
)


def train(request: TrainRequest) -> None:
    """Fit a map as ``request`` says and leave it in ``request.output``.

    A step is ``batch_size`` windows, each seen once. Raises OptionError for what this trainer does
    not do, and InputError for data without a token to predict.
    """
    _refuse_what_is_not_served(request)
    tokenizer = AutoTokenizer.from_pretrained(request.model)
    windows = Windows(tokenize(read_documents(request.data), tokenizer), request.sequence_length)
    if not windows:
        raise InputError(f"{request.data} holds no token to predict; give more text")
    used = min(len(windows), request.batch_size * (request.max_steps or len(windows)))
    if request.dry_run:
        sys.stderr.write(f"would fit to {used} windows\n")
        return
    lines = [list(windows[place].ids) for place in range(used)]
    path = save_forecast(fit(_states(request, lines)), request.output)
    sys.stderr.write(f"{path}: fitted to {used} windows\n")


def fit(pairs: Iterator[tuple[Tensor, Tensor]]) -> Forecast:
    """Return the map that leaves the least squares, of (known, wanted) ``[position, ...]``."""
    square = product = torch.zeros(())
    for known, wanted in pairs:
        square = square + known.T @ known
        product = product + known.T @ wanted
    ridge = RIDGE * torch.eye(len(square), dtype=square.dtype, device=square.device)
    both = torch.linalg.solve(square + ridge, product).float().cpu()
    width = both.shape[1]
    return Forecast(both[:width], both[width:-1], both[-1])


def _states(request: TrainRequest, lines: list[list[int]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what each state is forecast from, and the state itself, a batch of windows a time."""
    auto: Any = AutoModelForCausalLM
    device = "cpu" if request.device == "auto" else request.device
    dtype = "float32" if request.dtype == "auto" else request.dtype
    model = auto.from_pretrained(request.model, dtype=getattr(torch, dtype)).to(device).eval()
    for first in range(0, len(lines), request.batch_size):
        some = torch.tensor(lines[first : first + request.batch_size], device=device)
        with torch.no_grad():
            seen = model(some, output_hidden_states=True)
        # The first are what layer 0 reads, the last what the head reads.
        yield example(seen.hidden_states[0], seen.hidden_states[-1])


def example(
    tokens: Float[Tensor, "batch token hidden"], states: Float[Tensor, "batch token hidden"]
) -> tuple[Float[Tensor, "position inputs"], Float[Tensor, "position hidden"]]:
    """Return all states but each window's first, and beside them what they are forecast from."""
    known = torch.cat([states[:, :-1], tokens[:, 1:], torch.ones_like(states[:, :-1, :1])], dim=-1)
    return known.flatten(0, 1).double(), states[:, 1:].flatten(0, 1).double()


def _refuse_what_is_not_served(request: TrainRequest) -> None:
    for field in attrs.fields(TrainRequest):
        if field.name in NOT_SERVED and getattr(request, field.name) != field.default:
            raise OptionError(f"the trainer of 'forecast' does not know {field.name}: leave it out")

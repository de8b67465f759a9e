"""The frozen target as distillation sees it: exit features, logits, and its head for the draft."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import torch
from huggingface_hub.errors import StrictDataclassError
from jaxtyping import Float, Int
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from specframe import InputError, ModelError
from specframe.training import TrainRequest

# What transformers raises if files are missing, damaged or of another kind.
LOADING_ERRORS = (
    KeyError,
    OSError,
    SafetensorError,
    StrictDataclassError,
    TypeError,
    ValueError,
)


@attrs.frozen(eq=False)
class Teacher:
    """A target whose weights never change, read at one exit layer.

    ``head`` is the target's own output matrix, in float32 if the target is float16: a gradient
    through float16 would vanish.
    """

    model: Any
    head: nn.Module
    exit_layer: int

    @torch.no_grad()
    def read(
        self, input_ids: Int[Tensor, "batch token"]
    ) -> tuple[Float[Tensor, "batch token hidden"], Float[Tensor, "batch token vocab"]]:
        """Return the exit layer's hidden states and the target's own logits (float32 or wider)."""
        output = self.model(input_ids, use_cache=False, output_hidden_states=True)
        return output.hidden_states[self.exit_layer], _widen(output.logits)

    def draft_logits(
        self, hidden: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token vocab"]:
        """Apply the target's head, with its scale and its soft cap, to normed hidden states."""
        weight = next(self.head.parameters())
        return _finish(
            _widen(self.head(hidden.to(weight.dtype))), self.model.config.get_text_config()
        )

    def check_head(self) -> None:
        """Raise ``ModelError`` unless ``draft_logits`` computes what the target itself does."""
        ids = torch.arange(8, device=self.model.device)[None]
        with torch.no_grad():
            output = self.model(ids, use_cache=False, output_hidden_states=True)
            mine = self.draft_logits(output.hidden_states[-1])
        expected = _widen(output.logits)
        tolerance = 1e-3 if output.logits.dtype in (torch.float32, torch.float64) else 0.1
        if mine.shape != expected.shape or not torch.allclose(
            mine, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max())
        ):
            raise ModelError(
                f"The head of model type {self.model.config.model_type!r} does more than "
                "specframe knows, so no adapter can be trained for it."
            )


def load_teacher(request: TrainRequest, device: torch.device, exit_layer: int) -> Teacher:
    """Load and freeze the target of ``request``; raise ``ModelError`` if it cannot be distilled."""
    return freeze(_load_model(request, device).to(device), exit_layer)


def freeze(model: Any, exit_layer: int) -> Teacher:
    """Make a teacher of a transformers model; raise ``ModelError`` if its head is not known."""
    model = model.eval().requires_grad_(requires_grad=False)
    head = model.get_output_embeddings()
    if model.dtype == torch.float16:
        head = copy.deepcopy(head).float()
    teacher = Teacher(model, head, exit_layer)
    teacher.check_head()
    return teacher


def load_config(name: str) -> Any:
    """Load the config of a target's language model; raise ``ModelError`` if there is none."""
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise ModelError(f"There is no model folder {name}; check the path.")
    try:
        return AutoConfig.from_pretrained(name).get_text_config()
    except LOADING_ERRORS as error:
        raise _no_model(name, error) from error


def check_fit(request: TrainRequest, config: Any, exit_layer: int) -> None:
    """Raise ``InputError`` unless the model has the exit layer and reads such long windows."""
    if not exit_layer < config.num_hidden_layers:
        raise InputError(
            f"exit_layer is {exit_layer} and the model has {config.num_hidden_layers} layers; "
            f"give 1 to {config.num_hidden_layers - 1}."
        )
    longest = getattr(config, "max_position_embeddings", None) or request.sequence_length
    if request.sequence_length > longest:
        raise InputError(
            f"sequence_length is {request.sequence_length} and the model reads at most "
            f"{longest} tokens; give no more than that."
        )


def load_tokenizer(name: str) -> Any:
    """Load the tokenizer of the target; raise ``InputError`` if it has none."""
    try:
        return AutoTokenizer.from_pretrained(name)
    except LOADING_ERRORS as error:
        raise InputError(
            f"No tokenizer can be loaded from {name}, and training reads text; "
            f"put the tokenizer's files there ({_first_line(error)})."
        ) from error


def _load_model(request: TrainRequest, device: torch.device) -> Any:
    dtype = request.dtype
    if dtype == "auto" and device.type == "cpu":
        dtype = "float32"
    try:
        with _no_bars():
            return AutoModelForCausalLM.from_pretrained(request.model, dtype=dtype)
    except LOADING_ERRORS as error:
        raise _no_model(request.model, error) from error


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    """Keep transformers' own progress bars out of ours."""
    had_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers' own
    try:
        yield
    finally:
        if had_bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # transformers' own


def _no_model(name: str, error: Exception) -> ModelError:
    return ModelError(
        f"No causal language model can be loaded from {name}; give a folder or a hub id of one "
        f"({_first_line(error)})."
    )


def _widen(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _finish(logits: Tensor, config: Any) -> Tensor:
    """Scale and cap: logit_scale is Cohere's, logits_scaling Granite's, the soft cap Gemma 2's."""
    logits = logits * (getattr(config, "logit_scale", None) or 1.0)
    logits = logits / (getattr(config, "logits_scaling", None) or 1.0)
    cap = getattr(config, "final_logit_softcapping", None)
    return logits if cap is None else torch.tanh(logits / cap) * cap


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]

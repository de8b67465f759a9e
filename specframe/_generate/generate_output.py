"""From results to what ``generate`` returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from specframe._engine.transfer import padded
from specframe._results.result import Result


def sequences_of(
    input_ids: Int[Tensor, "batch token"], results: Sequence[Result], pad: int | None
) -> Int[Tensor, "batch longer"]:
    """Return prompts and new tokens; rows that ended early are filled with ``pad``.

    Without an end token there is no ``pad``, and rows end together, as in ``generate``. Then only
    the clock and the context window end them at different lengths: the shortest decides.
    """
    counts = [len(result.token_ids) for result in results]
    longest = min(counts) if pad is None else max(counts)
    new = padded([result.token_ids[:longest] for result in results], pad or 0)
    return torch.cat([input_ids, torch.tensor(new).to(input_ids)], dim=1)


def output_of(
    input_ids: Int[Tensor, "batch token"],
    sequences: Int[Tensor, "batch longer"],
    results: Sequence[Result],
    processors: Any,
    config: Any,
) -> Any:
    """Return ``sequences``, or a dictionary with ``results`` if one was asked for.

    ``logits`` and ``scores`` have one entry for each new token of ``sequences``. Where a row has
    ended they are zero, and what processors make of zero.
    """
    if not config.return_dict_in_generate:
        return sequences
    import transformers.generation.utils as generation  # noqa: PLC0415 (there by now)

    prompt = input_ids.shape[1]
    kind: Any = generation.GenerateDecoderOnlyOutput
    output = kind(sequences=sequences)
    if config.output_logits or config.output_scores:
        logits = _stacked(results)[: sequences.shape[1] - prompt].to(sequences.device)
        if config.output_logits:
            output.logits = tuple(logits)
        if config.output_scores:
            output.scores = tuple(
                processors(sequences[:, : prompt + place], step.clone())
                for place, step in enumerate(logits)
            )
    output.results = list(results)
    return output


def _stacked(results: Sequence[Result]) -> Float[Tensor, "new batch vocab"]:
    """Return the logits of all rows in float32, step by step."""
    rows = [result.logits.float() for result in results if result.logits is not None]
    return torch.nn.utils.rnn.pad_sequence(rows)

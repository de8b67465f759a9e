"""Measure the demo model: loss on held-out files, acceptance and speed on held-out prompts."""

from __future__ import annotations

import datetime as dt
import math
import os
import platform
import statistics
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch.nn import functional as F  # noqa: N812 (torch's own abbreviation)
from transformers import AutoModelForCausalLM, AutoTokenizer

import specframe
from specframe import Decoder, Metrics, Result

WINDOW = 512
NEW_TOKENS = 128
REPEATS = 3


@torch.inference_mode()
def held_out_loss(model: Path, texts: list[str], most_windows: int = 120) -> dict[str, float]:
    """Return the mean next-token loss (nats) on windows of files that were not trained on."""
    network: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    network.eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    windows = [
        ids[start : start + WINDOW + 1]
        for ids in tokenizer(texts)["input_ids"]
        for start in range(0, len(ids) - WINDOW, WINDOW)
    ]
    step = max(1, len(windows) // most_windows)
    losses = []
    for window in windows[::step]:
        ids = torch.tensor([window])
        logits = network(ids[:, :-1], use_cache=False).logits[0]
        losses.append(float(F.cross_entropy(logits, ids[0, 1:])))
    return {"loss": statistics.mean(losses), "windows": len(losses), "tokens": len(losses) * WINDOW}


def measure_speed(model: Path, prompts: list[str]) -> dict[str, Any]:
    """Decode every prompt plainly and with Kangaroo, interleaved, and compare in the same run.

    The keys are ``date`` (ISO), ``machine`` (in words), ``prompts`` and ``new_tokens`` (counts),
    ``options`` (``exit_layer``, ``steps``, ``threshold``), ``speedups`` (one for each prompt,
    sorted), and medians over the prompts: ``mean_acceptance_length``, ``draft_acceptance_rate``,
    ``speedup``, ``repeated_8_grams`` (a share), ``plain_tokens_per_second``. Raises RuntimeError if
    the tokens of both differ, and what ``specframe.load`` raises.
    """
    with specframe.load(model) as kangaroo, kangaroo.plain() as plain:
        pairs = [best_pair(kangaroo, plain, prompt, repeats=REPEATS) for prompt in prompts]
        texts = [_decode(kangaroo, prompt).token_ids for prompt in prompts]
        options = kangaroo.setup.options
    lengths = [fast.mean_acceptance_length or 0.0 for fast, _ in pairs]
    rates = [fast.draft_acceptance_rate or 0.0 for fast, _ in pairs]
    return {
        "date": dt.date.today().isoformat(),  # noqa: DTZ011 (the builder's own day)
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads of "
        f"{os.cpu_count()} CPUs, torch {torch.__version__}",
        "prompts": len(prompts),
        "new_tokens": NEW_TOKENS,
        "options": {name: options[name] for name in ("exit_layer", "steps", "threshold")},
        "mean_acceptance_length": statistics.median(lengths),
        "draft_acceptance_rate": statistics.median(rates),
        "speedup": statistics.median(speedup(pair) for pair in pairs),
        "repeated_8_grams": statistics.median(map(repeated_share, texts)),
        "speedups": sorted(round(speedup(pair), 3) for pair in pairs),
        "plain_tokens_per_second": statistics.median(
            plain.tokens_per_second or 0.0 for _, plain in pairs
        ),
    }


def count_parameters(folder: Path) -> int:
    """Return the number of stored parameters in a folder's ``model.safetensors``."""
    with safe_open(folder / "model.safetensors", framework="pt") as tensors:
        return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118 (no mapping)


def repeated_share(tokens: list[int], length: int = 8) -> float:
    """Return the share of n-grams that occurred before in the text: loops raise acceptance."""
    grams = [tuple(tokens[at : at + length]) for at in range(len(tokens) - length + 1)]
    return 1 - len(set(grams)) / len(grams)


def best_pair(
    fast: Decoder, plain: Decoder, prompt: str, *, repeats: int
) -> tuple[Metrics, Metrics]:
    """Return the fastest of several interleaved runs of each; the tokens must be the same."""
    runs = [(_decode(fast, prompt), _decode(plain, prompt)) for _ in range(repeats)]
    for ours, theirs in runs:
        if ours.token_ids != theirs.token_ids:
            raise RuntimeError("the strategy's tokens differ from plain decoding's: do not publish")
    return (
        min((ours.metrics for ours, _ in runs), key=_seconds),
        min((theirs.metrics for _, theirs in runs), key=_seconds),
    )


def speedup(pair: tuple[Metrics, Metrics]) -> float:
    """Return the ratio of the two rates, without prefill."""
    fast, plain = pair
    return (fast.tokens_per_second or 0.0) / (plain.tokens_per_second or 1.0)


def _decode(decoder: Decoder, prompt: str) -> Result:
    result: Result = decoder.decode(prompt, max_new_tokens=NEW_TOKENS, eos_token_id=())
    return result


def _seconds(metrics: Metrics) -> float:
    return metrics.seconds["total"]

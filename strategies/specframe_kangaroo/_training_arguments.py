"""The Trainer's settings, from the request and the paper."""

from __future__ import annotations

import math
import os

import torch
from transformers import TrainingArguments

from specframe import InputError
from specframe.training import TrainRequest
from specframe_kangaroo._run_folder import RunFolder

LONGEST_WARMUP = 2_000  # the reference's
LONGEST_LOG_INTERVAL = 50


def training_arguments(
    request: TrainRequest, num_windows: int, hidden_size: int
) -> TrainingArguments:
    """Return the settings of a run over ``num_windows`` windows; writes nothing.

    AdamW with betas 0.9 and 0.95, linear warmup and decay (paper section 4.1). Raises
    ``InputError`` if the device is missing or the ``train`` extra is not installed.
    """
    steps = request.max_steps or math.ceil(num_windows / windows_per_step(request))
    log_steps = max(1, min(LONGEST_LOG_INTERVAL, steps // 20))
    save_steps = log_steps * min(10, math.ceil(steps / log_steps / 10))
    uses_cpu = _uses_cpu(request.device)
    try:
        return TrainingArguments(
            output_dir=str(RunFolder(request.output).checkpoints),
            max_steps=steps,
            per_device_train_batch_size=request.batch_size,
            per_device_eval_batch_size=request.batch_size,
            gradient_accumulation_steps=request.gradient_accumulation,
            learning_rate=learning_rate_of(request, hidden_size),
            lr_scheduler_type="linear",
            warmup_steps=min(LONGEST_WARMUP, steps // 20),
            adam_beta2=0.95,
            weight_decay=0.01,
            logging_steps=log_steps,
            logging_nan_inf_filter=False,
            save_steps=save_steps,
            save_total_limit=2,
            eval_strategy="no" if request.eval_data is None else "steps",
            eval_steps=save_steps,
            seed=request.seed,
            use_cpu=uses_cpu,
            dataloader_pin_memory=not uses_cpu,
            ddp_find_unused_parameters=False,
            remove_unused_columns=False,
            disable_tqdm=True,
            report_to=[],
        )
    except ImportError as error:
        raise InputError(
            "Training needs the package accelerate; pip install 'specframe[train]'."
        ) from error


def learning_rate_of(request: TrainRequest, hidden_size: int) -> float:
    """Return the highest learning rate: the requested one, else one that falls with the width.

    The product is that of the paper's 5e-5 and width of 4096.
    """
    return request.learning_rate or min(1e-3, 5e-5 * 4096 / hidden_size)


def windows_per_step(request: TrainRequest) -> int:
    """Return how many windows all processes together take in one optimiser step.

    torchrun and ``accelerate launch`` both set WORLD_SIZE to their number.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    return request.batch_size * request.gradient_accumulation * world_size


def _uses_cpu(device: str) -> bool:
    if device in ("auto", "cpu"):
        return device == "cpu" or not torch.cuda.is_available()
    if not torch.cuda.is_available():
        raise InputError(f"device is {device!r} and there is no CUDA device; give cpu or auto.")
    if device not in ("cuda", "cuda:0"):
        raise InputError(
            f"device is {device!r}, and training takes the first visible card; "
            "choose it with the environment variable CUDA_VISIBLE_DEVICES."
        )
    return False

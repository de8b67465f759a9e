"""Distillation on the Hugging Face Trainer: only the adapter is its model."""

from __future__ import annotations

import gc
import math
from typing import Any

import attrs
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import PrinterCallback, Trainer, TrainingArguments

from specframe import NumericsError
from specframe.training import Windows
from specframe_kangaroo._adapter import Adapter
from specframe_kangaroo._loss import distillation_loss
from specframe_kangaroo._teacher import Teacher
from specframe_kangaroo._training_progress import Progress

UNTRAINED = -100  # the label of positions that the Trainer does not count


class Samples(Dataset[dict[str, Tensor]]):
    """Windows in the Trainer's form; ``labels`` says which positions are trained."""

    def __init__(self, windows: Windows) -> None:
        """Serve ``windows``, which stay as they are."""
        self.windows = windows

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return ``input_ids [token]`` and ``labels [token]`` of one window."""
        window = self.windows[index]
        ids = torch.tensor(window.ids, dtype=torch.long)
        mask = torch.frombuffer(bytearray(window.mask), dtype=torch.bool)
        return {"input_ids": ids, "labels": torch.where(mask, 0, UNTRAINED)}


class Student(nn.Module):
    """The adapter in a wrapper, since the Trainer writes to a model's ``config``."""

    def __init__(self, adapter: Adapter) -> None:
        """Train ``adapter`` in place."""
        super().__init__()
        self.adapter = adapter

    def forward(
        self, hidden: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token hidden"]:
        """Return what the target's head reads, in the adapter's own precision."""
        output: Tensor = self.adapter(hidden.to(self.adapter.norm.weight.dtype))
        return output


@attrs.frozen(eq=False)
class Agreement:
    """How far draft and target agree on one batch.

    ``loss`` is the mean over the trained positions, with its gradient. ``totals`` are sums over
    them, without gradient: loss, equal top-1 tokens, overlap of the distributions, positions.
    """

    loss: Float[Tensor, ""]
    totals: Float[Tensor, 4]

    @property
    def count(self) -> Float[Tensor, ""]:
        """Return the number of trained positions."""
        return self.totals[3]


def compare(teacher: Teacher, student: nn.Module, batch: dict[str, Tensor]) -> Agreement:
    """Run target and draft on a batch of ``Samples``."""
    hidden, target_logits = teacher.read(batch["input_ids"])
    draft_logits = teacher.draft_logits(student(hidden))
    mask = (batch["labels"] != UNTRAINED).to(draft_logits.dtype)
    loss = distillation_loss(draft_logits, target_logits, mask)
    with torch.no_grad():
        agreed = draft_logits.argmax(-1) == target_logits.argmax(-1)
        overlap = torch.minimum(draft_logits.softmax(-1), target_logits.softmax(-1)).sum(-1)
        count = mask.sum()
        totals = [loss.detach() * count, (mask * agreed).sum(), (mask * overlap).sum(), count]
    return Agreement(loss, torch.stack(totals))


def summarise(totals: Float[Tensor, 4]) -> dict[str, float]:
    """Return the means of ``totals``.

    ``agreement`` estimates how often a greedy draft is accepted, ``overlap`` (the mean sum of
    min(p, q)) how often a sampled one is.
    """
    loss, agreed, overlap, count = totals.tolist()
    return {"loss": loss / count, "agreement": agreed / count, "overlap": overlap / count}


class DistillationTrainer(Trainer):
    """Train an adapter against a frozen teacher, and log how well it would draft."""

    def __init__(
        self,
        teacher: Teacher,
        adapter: Adapter,
        arguments: TrainingArguments,
        windows: Windows,
        eval_windows: Windows | None,
    ) -> None:
        """Hide the teacher from the Trainer, so that nothing saves or wraps it."""
        self.student = Student(adapter)
        super().__init__(
            model=self.student,
            args=arguments,
            train_dataset=Samples(windows),
            eval_dataset=None if eval_windows is None else Samples(eval_windows),
        )
        self.remove_callback(PrinterCallback)
        self.progress = Progress()
        self.teacher = teacher
        self.totals = torch.zeros(4, device=arguments.device)
        self.last_means: dict[str, float] = {}
        self.evaluations: dict[int, dict[str, float]] = {}  # by step
        self.model_accepts_loss_kwargs = True  # makes the Trainer count the trained positions
        self.loss_is_scaled_for_ga = True

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 (the Trainer's signature)
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Return this batch's share of the mean over the whole step, all processes included.

        Processes average their gradients, hence the factor.
        """
        outcome = compare(self.teacher, model, inputs)
        self.totals += outcome.totals
        share = outcome.count * self.args.world_size / num_items_in_batch
        loss: Tensor = outcome.loss * share
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add what all processes measured since the last log; raise NumericsError at a NaN loss."""
        if "loss" in logs:
            self.last_means = summarise(self.accelerator.reduce(self.totals, reduction="sum"))
            logs |= self.last_means
            self.totals = torch.zeros_like(self.totals)
            if not math.isfinite(logs["loss"]):
                raise NumericsError(
                    f"The loss is {logs['loss']} at step {self.state.global_step}; lower the "
                    "learning rate, or choose dtype float32."
                )
        super().log(logs, start_time)
        self.progress.show(self.state, logs)

    def final_means(self) -> dict[str, float]:
        """Return what the last log entry and the held-out data say about the trained adapter."""
        if self.eval_dataset is None:
            return self.last_means
        evaluated = self.evaluations.get(self.state.global_step)
        return {**self.last_means, **(evaluated or self.evaluate())}

    @torch.no_grad()
    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Return the means over the held-out data, weighed by position and not by batch."""
        totals = torch.zeros_like(self.totals)
        for batch in self.get_eval_dataloader(eval_dataset):
            totals += compare(self.teacher, self.student, batch).totals
        means = summarise(self.accelerator.reduce(totals, reduction="sum"))
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in means.items()}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        self.evaluations[self.state.global_step] = metrics
        return metrics

    def part(self) -> None:
        """Close the connection to the other processes; nothing can be trained afterwards.

        The wrapped model is dropped first: if it were the last to hold the connection, closing it
        would wait for a thread that itself waits for Python's lock.
        """
        self.accelerator.wait_for_everyone()
        self.model_wrapped = self.student
        self.accelerator.free_memory()
        gc.collect()
        self.accelerator.end_training()

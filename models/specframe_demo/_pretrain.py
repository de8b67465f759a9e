"""Train the demo target from scratch, together with a Kangaroo adapter at its exit layer.

The joint loss is what makes a small model's shallow layers predictive: next-token cross-entropy
plus ``EXIT_WEIGHT`` times the adapter's soft cross-entropy, whose gradient flows through the
shallow layers (the idea is LayerSkip's early-exit loss, arXiv 2404.16710, section 4.2).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own abbreviation)
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from specframe_kangaroo import Adapter, AdapterConfig, distillation_loss

EXIT_LAYER = 2
EXIT_WEIGHT = 0.6


@attrs.frozen
class Phase:
    """One stretch of training: windows of one length under one piece of the schedule."""

    name: str
    steps: int
    batch_size: int
    sequence_length: int
    learning_rate: float
    warmup_steps: int = 0


# The long windows come last: they teach the positions up to the context limit.
PHASES = (
    Phase("main", 750, 8, 512, 4e-3, warmup_steps=50),
    Phase("long", 30, 1, 4_096, 4e-4),
)


def new_model(vocab_size: int) -> LlamaForCausalLM:
    """Create the untrained target: deep and narrow, so that drafting is cheap in comparison."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=256,
            intermediate_size=512,
            num_hidden_layers=20,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=4_096,
            rms_norm_eps=1e-6,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=0,
        )
    )


def new_adapter(model: LlamaForCausalLM) -> Adapter:
    """Create an untrained adapter for ``model``."""
    heads = model.config.num_attention_heads
    return Adapter(AdapterConfig(model.config.hidden_size, heads, heads))


class JointLoss(nn.Module):
    """Return the loss of target and adapter on a batch of windows."""

    # Read by the Trainer: the head is the embedding, and in no checkpoint.
    _keys_to_ignore_on_save = ("model.lm_head.weight",)

    def __init__(self, model: LlamaForCausalLM, adapter: Adapter) -> None:
        """Train both; neither is copied."""
        super().__init__()
        self.model = model
        self.adapter = adapter

    def forward(self, input_ids: Tensor) -> dict[str, Tensor]:
        """Return ``loss`` with its parts for ``input_ids [batch, token + 1]``."""
        hidden = self.model.model(
            input_ids[:, :-1], use_cache=False, output_hidden_states=True
        ).hidden_states
        head = self.model.lm_head
        target_logits = head(hidden[-1]).float()
        draft_logits = head(self.adapter(hidden[EXIT_LAYER])).float()
        token_loss = F.cross_entropy(target_logits.flatten(0, 1), input_ids[:, 1:].flatten())
        exit_loss = distillation_loss(draft_logits, target_logits.detach())
        loss = token_loss + EXIT_WEIGHT * exit_loss
        return {"loss": loss, "token_loss": token_loss, "exit_loss": exit_loss}

    def tie_weights(self) -> None:
        """Tie the head again; the Trainer asks for it after loading a checkpoint."""
        self.model.tie_weights()

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Leave out the head: it is the embedding, and safetensors refuses shared tensors."""
        state: dict[str, Any] = super().state_dict(*args, **kwargs)
        return {name: value for name, value in state.items() if "lm_head" not in name}


class Windows(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Cut one long token stream into windows that overlap by one token."""

    def __init__(self, stream: Tensor, length: int) -> None:
        """Serve windows of ``length`` + 1 tokens of ``stream [token]``."""
        self.stream = stream
        self.length = length

    def __len__(self) -> int:
        """Return the number of whole windows."""
        return (len(self.stream) - 1) // self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return window ``index`` as a Trainer sample."""
        start = index * self.length
        return {"input_ids": self.stream[start : start + self.length + 1]}


class MuonAdamW(torch.optim.Optimizer):
    """Step matrices inside the layers with Muon, everything else with AdamW.

    Muon (K. Jordan, 2024) needs far fewer steps at this size; its learning rate is scaled so that
    both halves follow one schedule.
    """

    def __init__(self, module: nn.Module, learning_rate: float) -> None:
        """Divide the parameters of ``module`` between both."""
        named = dict(module.named_parameters())
        matrices = [p for name, p in named.items() if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in named.items() if p.ndim != 2 or "embed" in name]
        self._parts: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(
                matrices,
                lr=learning_rate,
                weight_decay=0.1,
                adjust_lr_fn="match_rms_adamw",
            ),
            torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
        )
        super().__init__([*matrices, *others], {"lr": learning_rate})
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Step both halves."""
        for part in self._parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of both halves."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state of both halves."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self._parts for group in part.param_groups]


class _JointTrainer(Trainer):
    """Log the parts of the loss as well as their sum."""

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Tensor], *args: Any, **kwargs: Any
    ) -> Tensor:
        parts = model(inputs["input_ids"])
        self.parts = {name: parts[name].detach() for name in ("token_loss", "exit_loss")}
        loss: Tensor = parts["loss"]
        return loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "loss" in logs:
            logs |= {name: round(float(value), 4) for name, value in self.parts.items()}
        super().log(logs, *args, **kwargs)


def train_phase(
    joint: JointLoss, stream: Tensor, phase: Phase, folder: Path
) -> list[dict[str, float]]:
    """Run one phase, from its last checkpoint if there is one; return its log."""
    arguments = TrainingArguments(
        output_dir=str(folder / phase.name),
        max_steps=phase.steps,
        per_device_train_batch_size=phase.batch_size,
        learning_rate=phase.learning_rate,
        warmup_steps=phase.warmup_steps,
        lr_scheduler_type="cosine_with_min_lr" if phase.warmup_steps else "linear",
        lr_scheduler_kwargs={"min_lr_rate": 0.1} if phase.warmup_steps else {},
        max_grad_norm=1.0,
        bf16=True,
        torch_compile=True,
        logging_steps=20,
        save_steps=25,
        save_total_limit=2,
        report_to=[],
        seed=0,
        remove_unused_columns=False,
        use_cpu=not torch.cuda.is_available(),
    )
    trainer = _JointTrainer(
        model=joint,
        args=arguments,
        train_dataset=Windows(stream, phase.sequence_length),
        optimizers=(MuonAdamW(joint, phase.learning_rate), None),
    )
    started = any((folder / phase.name).glob("checkpoint-*"))
    trainer.train(resume_from_checkpoint=started)
    return list(trainer.state.log_history)

"""Distillation takes the reference's steps: losses, gradients, weights."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from specframe_kangaroo import distillation_loss, load_checkpoint

GOLDEN = Path(__file__).parent / "golden" / "train"


@pytest.mark.golden
def test_three_steps_equal_the_reference():
    stored = load_file(GOLDEN / "train_step.safetensors")
    facts = json.loads((GOLDEN / "train_step.json").read_text())
    adapter = load_checkpoint(GOLDEN / "wide4-e2").adapter
    part = {name: value for name, value in stored.items() if name.startswith("init.")}
    adapter.load_state_dict({name.removeprefix("init."): value for name, value in part.items()})
    weights = dict(adapter.named_parameters())
    optimiser = torch.optim.AdamW(
        [weights[name] for name in facts["param_order"]],
        betas=tuple(facts["betas"]),
        eps=facts["adam_eps"],
        weight_decay=facts["weight_decay"],
    )
    for index, step in enumerate(facts["steps"]):
        optimiser.param_groups[0]["lr"] = step["lr"]
        optimiser.zero_grad()
        batch = {
            name: stored[f"batch{index}.{name}"]
            for name in ("hidden_states_early", "target", "loss_mask")
        }
        draft = adapter(batch["hidden_states_early"]) @ stored["head"].T
        target = batch["target"] @ stored["head"].T
        loss = distillation_loss(draft, target, batch["loss_mask"].float())
        (loss / facts["grad_accum_divisor"]).backward()
        torch.nn.utils.clip_grad_value_(adapter.parameters(), facts["grad_clip_value"])
        assert loss.item() == pytest.approx(step["loss"], abs=1e-4)
        if index == 0:
            for name, weight in weights.items():
                torch.testing.assert_close(weight.grad, stored[f"grad0.{name}"], atol=1e-5, rtol=0)
        optimiser.step()
    for name, weight in weights.items():
        torch.testing.assert_close(weight.data, stored[f"after.{name}"], atol=2e-5, rtol=0)

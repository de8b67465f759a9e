"""Write a model of random weights, with a Kangaroo adapter and a small draft model for it.

    python benchmarks/random_model.py llama:24x1024 FOLDER --vocabulary 32000 --dtype bfloat16

The deeper layers change little, and the adapter passes the exit layer's states on. So self-drafting
accepts about as much as on a trained model: its compute is real, its words are not. FOLDER/kangaroo
is the adapter, FOLDER/draft the model's first layers as a separate model, FOLDER/prompts.jsonl a
few prompts.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import attrs
import torch
from transformers import AutoConfig, AutoModelForCausalLM

import specframe
from specframe_kangaroo import Adapter, AdapterConfig, Checkpoint, save_checkpoint

EXIT_LAYER = 2
NUM_PROMPTS, PROMPT_LENGTH = 6, 128
DEEP_LAYERS_SAY = 0.01  # gives the random model an acceptance like that of the demo model


@attrs.frozen
class Shape:
    """Say what is written; ``window`` is the context in tokens."""

    family: str
    layers: int
    width: int
    vocabulary: int = 4_096
    window: int = 2_048

    @classmethod
    def parse(cls, text: str, **others: int) -> Shape:
        """Read ``FAMILY:LAYERSxWIDTH``."""
        family, _, size = text.partition(":")
        layers, _, width = size.partition("x")
        return cls(family, int(layers), int(width), **others)


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", metavar="FAMILY:LAYERSxWIDTH")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vocabulary", type=int, default=4_096)
    parser.add_argument("--window", type=int, default=2_048)
    parser.add_argument("--dtype", default="float32", help="of the weights in the file")
    given = parser.parse_args()
    shape = Shape.parse(given.shape, vocabulary=given.vocabulary, window=given.window)
    write(shape, given.folder, getattr(torch, given.dtype))


def write(shape: Shape, folder: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Write model, adapter and draft model to ``folder``; return it."""
    torch.manual_seed(0)
    model = make(shape, shape.layers).to(dtype)
    for index, layer in enumerate(model.model.layers):
        scale = 1.0 if index < EXIT_LAYER else DEEP_LAYERS_SAY
        layer.self_attn.o_proj.weight.data *= 4 * scale
        layer.mlp.down_proj.weight.data *= 4 * scale
    model.save_pretrained(folder)
    draft = make(shape, EXIT_LAYER).to(dtype)
    draft.load_state_dict(model.state_dict(), strict=False)
    draft.save_pretrained(folder / "draft")
    save_checkpoint(folder / "kangaroo", passing_on(model, shape.width))
    write_prompts(shape.vocabulary, folder / "prompts.jsonl")
    return folder


def write_prompts(vocabulary: int, file: Path) -> None:
    """Write prompts of random tokens."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(10, vocabulary, (NUM_PROMPTS, PROMPT_LENGTH), generator=generator).tolist()
    lines = [json.dumps({"id": number, "prompt_ids": row}) for number, row in enumerate(ids)]
    file.write_text("\n".join(lines) + "\n", "utf-8")


def make(shape: Shape, layers: int) -> Any:
    """Return a model with fresh weights; its last layers say as much as its first."""
    config = AutoConfig.for_model(
        shape.family,
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=2 * shape.width,
        num_hidden_layers=layers,
        num_attention_heads=shape.width // 64,
        num_key_value_heads=shape.width // 64,
        head_dim=64,
        max_position_embeddings=shape.window,
        bos_token_id=None,
        eos_token_id=None,
    )
    return AutoModelForCausalLM.from_config(config)


def passing_on(model: Any, width: int) -> Checkpoint:
    """Return an adapter that hands the exit layer's states to the head, at full cost."""
    adapter = Adapter(AdapterConfig(width, width // 64, width // 64))
    adapter.layers[0].self_attn.o_proj.weight.data.zero_()  # type: ignore[union-attr, operator]
    adapter.norm.weight.data = model.model.norm.weight.data.float()
    return Checkpoint(
        adapter,
        exit_layer=EXIT_LAYER,
        steps=6,
        threshold=0.0,
        fingerprint=specframe.fingerprint(model),
    )


if __name__ == "__main__":
    main()

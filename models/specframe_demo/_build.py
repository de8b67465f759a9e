"""Rebuild everything in the demo package, from the standard library's sources alone."""

from __future__ import annotations

import json
import platform
import random
import sys
from pathlib import Path
from typing import Any

import attrs
import torch
import transformers
from tokenizers import Tokenizer
from torch import Tensor

from specframe import fingerprint
from specframe.training import TrainRequest
from specframe_demo import _corpus, _pretrain
from specframe_demo._measure import count_parameters, held_out_loss, measure_speed
from specframe_demo._model_card import write_card
from specframe_demo._sweep import sweep
from specframe_kangaroo import Checkpoint, load_checkpoint, save_checkpoint, train

VOCAB_SIZE = 4_096
NUM_PROMPTS = 24
ADAPTER_STEPS = 200  # of the chosen exit layer, on the frozen target
SWEEP_STEPS = 60  # of each other exit layer that the sweep looks at
SWEEP_LAYERS = (1, 2, 3, 4)


def build(output: Path) -> None:
    """Train tokenizer, target and adapters; measure them; write everything to ``output``.

    Every stage leaves a file below ``output/work`` and is skipped if that is there, so that an
    interrupted build continues. Raises what ``specframe_kangaroo.train`` and ``measure_speed``
    raise.
    """
    work = output / "work"
    work.mkdir(parents=True, exist_ok=True)
    corpus = _corpus.collect()
    tokenizer = _tokenizer(corpus, work)
    log = _train_target(corpus, tokenizer, output, work)
    _write_texts(corpus, output, work)
    for layer in SWEEP_LAYERS:
        _train_adapter(layer, output, work)
    table = sweep(output / "model", work / "adapters", SWEEP_LAYERS, read_prompts(output)[::6])
    _choose(table.best, output, work)
    facts = _facts(corpus, log) | {
        "parameters": count_parameters(output / "model"),
        "adapter_parameters": count_parameters(output / "model" / "kangaroo"),
        "held_out": held_out_loss(output / "model", list(corpus.held_out.values())),
        "speed": measure_speed(output / "model", read_prompts(output)),
        "sweep": [attrs.asdict(point) for point in table.points],
    }
    _write_json(output / "training_log.json", facts)
    write_card(output / "MODEL_CARD.md", facts)


def read_prompts(folder: Path) -> list[str]:
    """Return the prompts of ``folder/prompts.jsonl``, cut from held-out files; raises OSError."""
    lines = (folder / "prompts.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["prompt"] for line in lines]


def _tokenizer(corpus: _corpus.Corpus, work: Path) -> Tokenizer:
    path = work / "tokenizer.json"
    if not path.is_file():
        _say("training the tokenizer")
        _corpus.train_tokenizer(list(corpus.training.values()), VOCAB_SIZE).save(str(path))
    return Tokenizer.from_file(str(path))


def _train_target(
    corpus: _corpus.Corpus, tokenizer: Tokenizer, output: Path, work: Path
) -> list[dict[str, Any]]:
    """Train the target and the adapter of its exit layer together; return the log."""
    path = work / "log.json"
    if path.is_file() and (output / "model" / "config.json").is_file():
        log: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
        return log
    stream = _token_stream(corpus, tokenizer)
    torch.manual_seed(0)
    model = _pretrain.new_model(VOCAB_SIZE)
    joint = _pretrain.JointLoss(model, _pretrain.new_adapter(model))
    log = []
    for phase in _pretrain.PHASES:
        _say(f"training the target: {phase.name}, {phase.steps} steps")
        history = _pretrain.train_phase(joint, stream, phase, work)
        log.append({"phase": attrs.asdict(phase), "history": history})
    _save_target(model, output / "model", work)
    joint_adapter = Checkpoint(
        joint.adapter, exit_layer=_pretrain.EXIT_LAYER, fingerprint=fingerprint(model)
    )
    save_checkpoint(work / "joint", joint_adapter)
    _write_json(path, log)
    return log


def _token_stream(corpus: _corpus.Corpus, tokenizer: Tokenizer) -> Tensor:
    """Return all training files, shuffled, in one sequence; each begins with end-of-text."""
    texts = list(corpus.training.values())
    random.Random(0).shuffle(texts)  # noqa: S311 (an order, no secret)
    encoded = tokenizer.encode_batch(texts)
    return torch.tensor([token for text in encoded for token in text.ids])


def _save_target(model: Any, folder: Path, work: Path) -> None:
    """Write the target in bfloat16 with its tokenizer, in transformers' format."""
    model.to(torch.bfloat16).save_pretrained(folder)
    make: Any = transformers.PreTrainedTokenizerFast
    fast = make(
        tokenizer_file=str(work / "tokenizer.json"),
        bos_token=_corpus.END_OF_TEXT,
        eos_token=_corpus.END_OF_TEXT,
        pad_token=_corpus.END_OF_TEXT,
        model_max_length=model.config.max_position_embeddings,
        clean_up_tokenization_spaces=False,
    )
    fast.save_pretrained(folder)


def _write_texts(corpus: _corpus.Corpus, output: Path, work: Path) -> None:
    """Write the training texts for the adapter, the held-out names and the prompts."""
    _write_lines(work / "training.jsonl", [{"text": t} for t in corpus.training.values()])
    _write_lines(work / "held_out.jsonl", [{"text": t} for t in corpus.held_out.values()])
    prompts = _corpus.choose_prompts(corpus.held_out, NUM_PROMPTS)
    _write_lines(output / "prompts.jsonl", prompts)
    names = "".join(f"{name}\n" for name in corpus.held_out)
    (output / "held_out.txt").write_text(names, "utf-8")


def _train_adapter(layer: int, output: Path, work: Path) -> None:
    """Train one exit layer's adapter with the project's own trainer, the target frozen."""
    folder = work / "adapters" / str(layer)
    if (folder / "config.json").is_file():
        return
    is_joint = layer == _pretrain.EXIT_LAYER
    _say(f"training the adapter of exit layer {layer}")
    train(
        TrainRequest(
            model=str(output / "model"),
            data=work / "training.jsonl",
            output=folder,
            exit_layer=layer,
            max_steps=ADAPTER_STEPS if is_joint else SWEEP_STEPS,
            batch_size=8,
            sequence_length=512,
            adapter=work / "joint",
            resume=True,
        )
    )


def _choose(best: Any, output: Path, work: Path) -> None:
    """Put the best adapter into the model's folder, its best settings into its metadata."""
    checkpoint = load_checkpoint(work / "adapters" / str(best.exit_layer))
    chosen = attrs.evolve(checkpoint, steps=best.steps, threshold=best.threshold)
    save_checkpoint(output / "model" / "kangaroo", chosen)


def _facts(corpus: _corpus.Corpus, log: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "data": {
            "source": f"standard library of CPython {platform.python_version()}",
            "files": len(corpus.training),
            "held_out_files": len(corpus.held_out),
            "characters": sum(map(len, corpus.training.values())),
            "sha256": corpus.digest,
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "exit_layer": _pretrain.EXIT_LAYER,
        "exit_weight": _pretrain.EXIT_WEIGHT,
        "training": log,
    }


def _write_lines(path: Path, entries: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), "utf-8")


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def _say(line: str) -> None:
    print(f"demo build: {line}", file=sys.stderr, flush=True)  # noqa: T201 (progress)

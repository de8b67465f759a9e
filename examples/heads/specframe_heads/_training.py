"""Train heads: the target stays as it is and tells what stands where.

Each head learns the tokens of the data by cross-entropy, as Medusa-1 does. The target runs once
over the data; after that the heads, which are small, learn from its states alone.
"""

from __future__ import annotations

import sys
from typing import Any

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own abbreviation)
from transformers import AutoModelForCausalLM, AutoTokenizer

from specframe import InputError, OptionError
from specframe.training import TrainRequest, Windows, read_documents, tokenize
from specframe_heads._heads import Heads, save_heads

HEADS = 3
LEARNING_RATE = 3e-3
POSITIONS = 256  # that a step learns from, for each window of the request's batch size
NOT_SERVED = ("exit_layer", "eval_data", "resume", "adapter", "gradient_accumulation")


@attrs.frozen(eq=False)
class Lesson:
    """Hold what the target said: states, and the tokens that stood behind each.

    ``tokens[i, h]`` is what head h is to say at position i; -100 where the window ends before.
    """

    states: Float[Tensor, "position hidden"]
    tokens: Int[Tensor, "position head"]
    head: Any


def train(request: TrainRequest) -> None:
    """Train heads as ``request`` says and leave them in ``request.output``.

    The last line on standard error says how often each head is right on the data. Raises
    OptionError for what this trainer does not do.
    """
    _refuse_what_is_not_served(request)
    lesson = read_lesson(request)
    if request.dry_run:
        sys.stderr.write(f"{HEADS} heads would learn from {len(lesson.states)} positions\n")
        return
    heads = fit(lesson, request)
    path = save_heads(heads, request.output)
    shares = ", ".join(f"{share:.0%}" for share in agreement(lesson, heads))
    sys.stderr.write(f"{path}: the heads say {shares} of the tokens ahead\n")


def read_lesson(request: TrainRequest) -> Lesson:
    """Let the target read the data once."""
    tokenizer = AutoTokenizer.from_pretrained(request.model)
    stream = tokenize(read_documents(request.data), tokenizer)
    windows = Windows(stream, request.sequence_length)
    if not windows:
        raise InputError(f"{request.data} holds no token to predict; give more text")
    auto: Any = AutoModelForCausalLM
    device = "cpu" if request.device == "auto" else request.device
    dtype = torch.float32 if request.dtype == "auto" else getattr(torch, request.dtype)
    model = auto.from_pretrained(request.model, dtype=dtype).to(device).eval()
    ids = [torch.tensor(window.ids, dtype=torch.long, device=device) for window in windows]
    with torch.no_grad():
        states = [model.model(line[None]).last_hidden_state[0].float() for line in ids]
    head = model.get_output_embeddings().float().requires_grad_(requires_grad=False)
    return Lesson(torch.cat(states), torch.cat([tokens_ahead(line) for line in ids]), head)


def tokens_ahead(ids: Int[Tensor, " position"]) -> Int[Tensor, "position head"]:
    """Return for each position what stands two, three, ... tokens later: one later is the root."""
    ahead = torch.full((len(ids), HEADS), -100, device=ids.device)
    for place in range(HEADS):
        later = ids[place + 2 :]
        ahead[: len(later), place] = later
    return ahead


def fit(lesson: Lesson, request: TrainRequest) -> Heads:
    """Return heads that have learnt from randomly drawn positions."""
    heads = Heads(HEADS, lesson.states.shape[-1]).to(lesson.states.device)
    optimizer = torch.optim.AdamW(heads.parameters(), request.learning_rate or LEARNING_RATE)
    generator = torch.Generator().manual_seed(request.seed)
    count = POSITIONS * request.batch_size
    for _ in range(request.max_steps or max(1, len(lesson.states) // count)):
        drawn = torch.randint(len(lesson.states), (count,), generator=generator)
        logits = lesson.head(heads(lesson.states[drawn]))
        loss = F.cross_entropy(logits.flatten(0, 1), lesson.tokens[drawn].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
    return heads


@torch.no_grad()
def agreement(lesson: Lesson, heads: Heads) -> list[float]:
    """Return how often each head's likeliest token is the one that stood there."""
    right = [
        lesson.head(heads(states)).argmax(dim=-1) == tokens
        for states, tokens in zip(
            lesson.states.split(POSITIONS), lesson.tokens.split(POSITIONS), strict=True
        )
    ]
    known = (lesson.tokens >= 0).sum(dim=0)
    shares: list[float] = (torch.cat(right).sum(dim=0) / known).tolist()
    return shares


def _refuse_what_is_not_served(request: TrainRequest) -> None:
    for field in attrs.fields(TrainRequest):
        if field.name in NOT_SERVED and getattr(request, field.name) != field.default:
            raise OptionError(f"the trainer of 'heads' does not know {field.name}: leave it out")

"""The probe that admits a model at load time: its parts must add up to the model.

The model's own modules, called one by one, must equal the whole model bit for bit, and the engine's
path (a chunk, a single token, a branching tree) must agree within ``TOLERANCE``; else the model is
refused by the name of its family. The probe reads 24 tokens, so it crosses windows below that; what
a family does with wider ones is the tests' to show. Multipliers and caps show only where a model
sets them, so ``tests/test_probe_families.py`` sets all of them and plants one error at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from specframe._engine.engine import LayerEngine
from specframe._engine.family import Family, Split
from specframe._engine.out_of_memory import ran_out_of_memory
from specframe._engine.placement import Board
from specframe._errors import ModelError, PluginError, SpecframeError
from specframe._loading.weights import quantisation
from specframe._words import cause

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from specframe._plugins.plugin_info import PluginInfo

PROBE_TOKENS = 24  # longer than a small window, and enough for rotary tables to differ
# Largest difference of logits between two ways of computing them, relative to the largest logit.
TOLERANCE = {
    torch.float64: 1e-4,  # transformers keeps norms and rotary tables in float32
    torch.float32: 1e-4,
    torch.bfloat16: 1e-1,
    torch.float16: 2e-2,
}

ANSWERS: dict[str, tuple[Any, str]] = {
    "refusal": (str | None, "a reason or None"),
    "run_stock": (Tensor, "a tensor"),
    "split": (Split, "a specframe.Split"),
}


def admit(
    model: PreTrainedModel,
    family: Family,
    name: str,
    *,
    owned: bool,
    plugin: PluginInfo | None = None,
) -> LayerEngine:
    """Return an engine for ``model``; raises ModelError naming the family and what differs.

    First the model's own modules, called one by one, must equal the whole model bit for bit on
    random ids; then the engine's path (a chunk, a single token, a branching tree) must agree with
    it within ``TOLERANCE``. ``plugin`` is whose family it is. Raises PluginError for an answer
    that no family may give.
    """
    its_own = f" of {plugin}" if plugin is not None and not plugin.is_built_in else ""
    called = f"family '{name}'{its_own}"
    reason = _expect(family, "refusal", family.refusal(model))
    if reason is not None:
        raise ModelError(f"{called} cannot split this model: {reason}")
    tokens = _random_tokens(model)
    expected = model(tokens, use_cache=False).logits
    stock = _expect(family, "run_stock", family.run_stock(model, tokens))
    if not torch.equal(stock, expected):
        raise ModelError(
            f"{called} does not fit this model: its layers, run one by one, give other "
            "logits than the model as a whole. Its architecture differs from what the family "
            "adapter knows"
        )
    quantised = quantisation(model)
    with _running_parts(family, called, quantised):
        engine = LayerEngine(_expect(family, "split", family.split(model, owned=owned)))
        difference = _engine_difference(engine, tokens, expected)
    if not difference <= TOLERANCE[engine.dtype]:
        raise ModelError(
            f"{called} does not fit this model: the engine's logits differ from the "
            f"model's by {difference:.1e} of the largest one, more than the "
            f"{TOLERANCE[engine.dtype]:.0e} allowed in {engine.dtype}{_hint(quantised)}"
        )
    return engine


def _expect(family: Family, method: str, answer: Any) -> Any:
    """Return what a family's method answered; raises PluginError for another type."""
    wanted, words = ANSWERS[method]
    if isinstance(answer, wanted):
        return answer
    raise PluginError(f"{method} must return {words}, got {answer!r}", part=family, method=method)


@contextmanager
def _running_parts(family: Family, called: str, quantised: str | None) -> Iterator[None]:
    """Turn what is raised inside into an error that says that a model's parts do not run."""
    try:
        yield
    except SpecframeError:
        raise
    except Exception as error:
        if quantised is not None:
            raise ModelError(
                f"{called} cannot split this model: its quantised layers ({quantised}) do not "
                f"run one by one: {' '.join(str(error).split())[:200]}"
            ) from error
        if ran_out_of_memory(error):
            raise
        what = f"what split makes of this model does not run: {cause(error)}"
        raise PluginError(what, part=family, method="split") from error


def _hint(quantised: str | None) -> str:
    if quantised is None:
        return ""
    return (
        f". It is quantised ({quantised}), and layers that round their inputs by all that is in a "
        "pass answer otherwise when a draft is in it: quantise the weights alone"
    )


def _random_tokens(model: PreTrainedModel) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    embedding: Any = model.get_input_embeddings()
    vocab = embedding.weight.shape[0]
    context = model.config.get_text_config().max_position_embeddings
    tokens = torch.randint(vocab, (1, min(PROBE_TOKENS, context)), generator=generator)
    return tokens.to(embedding.weight.device)


def _engine_difference(engine: LayerEngine, tokens: Tensor, expected: Tensor) -> float:
    """Run a prompt, two chain tokens, then the last two once more as branches of a tree."""
    count = tokens.shape[1]
    ids = tokens[0].tolist()
    engine.open(1, count + 4)
    board = Board(count + 4, engine.device)
    last = engine.fill(0, ids[: count - 3]).last[None]
    layers = engine.num_layers
    single, _ = engine.run(
        engine.embed(tokens[:, count - 3 : count - 2]), board.chain(count - 3, 1), 0, layers
    )
    # A tree whose second branch holds the true continuation: a wrong mask or position shows.
    branching = torch.tensor([[ids[-2], ids[0], ids[-1]]], device=tokens.device)
    slots = [[count - 2, count - 1, count]]
    placement = board.trees([count - 2], [[-1, 0, 0]], slots)
    tree, _ = engine.run(engine.embed(branching), placement, 0, layers)
    found = engine.logits(engine.norm(torch.cat([last, single, tree[:, [0, 2]]], dim=1)))
    wanted = expected[:, count - 4 :]
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-3))

"""What ``specframe doctor -m MODEL`` looks at: the model, exact mode, each strategy on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from specframe._assembly.assembly import assemble
from specframe._decoder.decoder import Decoder
from specframe._doctor.machine import Observation, State
from specframe._engine.runners.selection import on_runner
from specframe._errors import OptionError, SpecframeError
from specframe._exact.exact_runner import admit_on_runner
from specframe._loading.loading import Loaded, Source, load_model
from specframe._plugins.registry import Registry
from specframe._words import cause, dtype_name


@attrs.frozen(kw_only=True)
class Asked:
    """What is looked at on a model; ``strategy=None`` means all, each with its defaults."""

    source: Source
    strategy: str | None = None
    verifier: str | None = None
    stop_policy: str | None = None
    options: dict[str, str] = attrs.Factory(dict)
    exact: bool = False


def examine_model(asked: Asked, registry: Registry) -> Iterator[Observation]:
    """Load the model; look at it and at the strategies on it."""
    try:
        loaded = load_model(asked.source, registry)
    except SpecframeError as error:
        yield Observation("model", "refused", str(error))
        return
    yield from model(loaded)
    yield from words(loaded)
    if asked.exact:
        yield exact_mode(loaded)
    names = [asked.strategy] if asked.strategy else sorted(registry.strategies)
    for name in names:
        yield strategy(name, asked, loaded, registry)


def model(loaded: Loaded) -> Iterator[Observation]:
    """Describe a model that passed the probe."""
    engine = loaded.engine
    dtype = dtype_name(engine.dtype)
    yield Observation(
        "model",
        "fine",
        f"{loaded.origin.name} splits and passes the probe: {engine.num_layers} layers of "
        f"{engine.hidden_size}, vocabulary {engine.vocab_size}, context {engine.context}, "
        f"{dtype} on {engine.device}",
    )


def words(loaded: Loaded) -> Iterator[Observation]:
    """Say what the tokenizer is and which tokens end a text."""
    tokenizer: Any = loaded.tokenizer
    if tokenizer is None:
        text = "there is no tokenizer beside the model: prompts are token ids, and no text comes"
        fix = "save one into the model's folder, or give prompts as prompt_ids"
        yield Observation("tokenizer", "note", text, fix)
    else:
        has_template = getattr(tokenizer, "chat_template", None) is not None
        template = "with a chat template" if has_template else "no chat template"
        text = f"{type(tokenizer).__name__}, {len(tokenizer)} tokens, {template}"
        yield Observation("tokenizer", "fine", text)
    if loaded.eos:
        ids = ", ".join(map(str, sorted(loaded.eos)))
        yield Observation("tokenizer", "fine", f"a text ends with token {ids}")
    else:
        text = "the generation config names no EOS token: decoding ends at --max-new-tokens"
        yield Observation("tokenizer", "note", text, "name one in generation_config.json")


def exact_mode(loaded: Loaded) -> Observation:
    """Say whether exact mode admits the model on this machine."""
    try:
        admitted = admit_on_runner(loaded.engine)
    except SpecframeError as error:
        return Observation("exact mode", "refused", str(error))
    text = "logits do not depend on what a strategy can vary"
    if admitted.shortfall:
        text = f"{text}; more slowly, on the {admitted.runner} runner: {admitted.shortfall}"
        return Observation("exact mode", "note", text)
    return Observation("exact mode", "fine", text)


def strategy(name: str, asked: Asked, loaded: Loaded, registry: Registry) -> Observation:
    """Say whether a strategy can decode with the model, and if not, why.

    A strategy that was not asked for by name is only not ready, which is no fault.
    """
    topic = f"strategy {name}"
    state: State = "refused" if asked.strategy else "note"
    try:
        parts = assemble(registry, name, asked.verifier, asked.stop_policy, asked.options)
        own = attrs.evolve(loaded, engine=on_runner(loaded.engine.twin()))
        with Decoder(own, parts) as decoder:
            setup = decoder.setup
    except OptionError as error:
        return Observation(topic, state, str(error), f"specframe strategies show {name}")
    except SpecframeError as error:
        return Observation(topic, state, str(error))
    except Exception as error:  # noqa: BLE001 (one that fails must not hide the others)
        return Observation(topic, "refused", f"cannot be prepared: {cause(error)}")
    promise = {"tokens": "lossless", "distribution": "lossless in distribution"}
    kind = promise.get(setup.guarantee, "LOSSY")
    text = f"ready, with verifier {setup.verifier} ({kind}) and stop policy {setup.stop_policy}"
    chosen = [f"{key}={value}" for key, value in setup.options.items() if value is not None]
    return Observation(topic, "fine", "; ".join([text, *([", ".join(chosen)] if chosen else [])]))

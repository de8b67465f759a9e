"""Which arguments of ``generate`` cannot be served: each is refused by its name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from specframe._errors import InputError, ModelError

BEAMS = "it follows one sequence a row"
DRAFTERS = "its drafter is the one that custom_generate names"
OPTIONS = "its drafter's options are given to custom_generate"
GUIDANCE = "the model runs on its own prompt alone"
INPUTS = "it reads token ids and their attention_mask alone"
PASSES = "drafts are scored several tokens at a time, and such tensors are not kept"
CACHE = "it has a cache of its own, which ends with the call"
PROCESSES = "each process decodes to its own end"

# Settings of a generation config: values that change nothing, and why no other is served.
SETTINGS: dict[str, tuple[tuple[object, ...], str]] = {
    "num_beams": ((None, 1), BEAMS),
    "num_beam_groups": ((None, 1), BEAMS),
    "constraints": ((None,), BEAMS),
    "force_words_ids": ((None,), BEAMS),
    "penalty_alpha": ((None, 0), BEAMS),
    "dola_layers": ((None,), PASSES),
    "output_attentions": ((None, False), PASSES),
    "output_hidden_states": ((None, False), PASSES),
    "prompt_lookup_num_tokens": ((None,), DRAFTERS),
    "assistant_early_exit": ((None,), DRAFTERS),
    "use_mtp": ((None, False), DRAFTERS),
    "speculation_type": ((None,), DRAFTERS),
    "guidance_scale": ((None, 1), GUIDANCE),
    "encoder_repetition_penalty": ((None, 1), INPUTS),
    "encoder_no_repeat_ngram_size": ((None, 0), INPUTS),
    "cache_implementation": ((None, "dynamic", "dynamic_full", "hybrid", "static"), CACHE),
}
# Settings of an assistant, with the values that ``generate`` has by default. A model's own
# generation config may hold others, which mean nothing where no assistant drafts.
ASSISTANTS: dict[str, tuple[object, ...]] = {
    "num_assistant_tokens": (None, 20),
    "num_assistant_tokens_schedule": (None, "constant"),
    "assistant_confidence_threshold": (None, 0.4),
    "max_matching_ngram_size": (None, 2),
    "assistant_lookbehind": (None, 10),
    "target_lookbehind": (None, 10),
    "assistant_ensemble_weight": (None,),
}
# Arguments of ``generate``, besides the streamer, that a callable does not get.
ARGUMENTS = {
    "assistant_model": DRAFTERS,
    "assistant_tokenizer": DRAFTERS,
    "negative_prompt_ids": GUIDANCE,
    "negative_prompt_attention_mask": GUIDANCE,
    "synced_gpus": PROCESSES,
}
# What ``generate`` prepares for the model's forward, and decoding here uses or can do without.
PREPARED = frozenset(
    {"attention_mask", "cache_position", "logits_to_keep", "past_key_values", "position_ids"}
    | {"use_cache"}
)


def withheld() -> dict[str, Any]:
    """Return the arguments that were written for the ``generate`` that is calling.

    A callable gets neither streamer nor assistant (5.17 to 5.23 at least), though ``generate`` has
    put the prompt to the streamer. So they are read from its frame, and those that it has taken out
    of there from its decorator's. Nothing is returned where no ``generate`` is calling.
    """
    from transformers import GenerationMixin  # noqa: PLC0415 (seconds, and there by now)

    decorated: Any = GenerationMixin.generate
    code = inspect.unwrap(decorated).__code__
    frame = inspect.currentframe()
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    if frame is None:
        return {}
    above, its = frame.f_back, frame.f_locals
    is_decorator = above is not None and above.f_code is decorated.__code__
    written = above.f_locals.get("kwargs", {}) if above is not None and is_decorator else {}
    named = {name: its[name] for name in (*ARGUMENTS, "streamer") if name in its}
    return {**written, **its.get("kwargs", {}), **named}


def refuse_encoder(model: Any) -> None:
    """Raise ModelError for a model with an encoder for its prompt."""
    if model.config.is_encoder_decoder:
        raise ModelError(
            f"models of type '{model.config.model_type}' have an encoder, and custom_generate "
            "decodes with decoder-only models: call generate without it"
        )


def refuse_unserved(
    config: Any, prepared: Mapping[str, Any], given: Mapping[str, Any], own: Any
) -> None:
    """Raise InputError for the first argument that cannot be served.

    ``prepared`` is what ``generate`` passes on for the model's forward, ``given`` what its caller
    wrote, ``own`` the model's generation config.
    """
    for name, (neutral, reason) in SETTINGS.items():
        value = getattr(config, name, None)
        if value not in neutral:
            _refuse(name, value, reason)
    for name, usual in ASSISTANTS.items():
        value = getattr(config, name, None)
        if value not in (*usual, getattr(own, name, None)):
            _refuse(name, value, OPTIONS)
    for name, reason in ARGUMENTS.items():
        if given.get(name) not in (None, False):
            _refuse(name, given[name], reason)
    if given.get("past_key_values") is not None or _is_filled(prepared.get("past_key_values")):
        _refuse("past_key_values", None, CACHE)
    for name, value in prepared.items():
        if name not in PREPARED and value is not None:
            _refuse(name, value, INPUTS)


def _is_filled(cache: Any) -> bool:
    return cache is not None and cache.get_seq_length() > 0


def _refuse(name: str, value: object, reason: str) -> None:
    shown = f"={value!r}" if isinstance(value, bool | int | float | str) else ""
    raise InputError(
        f"specframe.custom_generate cannot serve {name}{shown}, since {reason}: leave it out, or "
        "call generate without custom_generate"
    )

"""The arguments of ``decode`` other than the prompt: the one list of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

from specframe._words import suggestion

Function = TypeVar("Function", bound=Callable[..., Any])


class StreamArguments(TypedDict, total=False):
    """Say where a decode ends, how it samples, and what its result carries.

    ``max_new_tokens``: most new tokens, at least 1; a list has one value for each prompt.
    ``eos_token_id``: the token ids that end a row; None: the model's own; an empty tuple: none.
    ``stop``: non-empty strings that end a row as soon as its text holds one; needs a tokenizer.
    ``seed``: from 0 to 2**64 - 1; None: drawn; a list has one for each prompt.
    ``temperature``: 0 (greedy) or more.
    ``top_k``: how many of the likeliest tokens may be drawn, at least 1; None: all.
    ``top_p``: probability of the likeliest tokens that may be drawn, above 0 to 1; None: all.
    ``min_p``: least share of the top probability, from 0 to 1; None: none is asked for.
    ``repetition_penalty``: above 0; above 1 makes tokens seen before less likely; None or 1: off.
    ``logits_processor``: one of transformers' LogitsProcessors or a list of them, without state.
    ``stopping_criteria``: functions of (ids, scores), one or a list; true ends a row; scores: None.
    ``batch_size``: prompts decoded at a time, at least 1; None: all, at most 8. A stream has one.
    ``output_logits``: whether the result carries ``logits [new, vocab]``.
    ``output_probs``: whether the rounds carry p and q, which takes time and changes no token.
    """

    max_new_tokens: int | Sequence[int]
    eos_token_id: int | Sequence[int] | None
    stop: Sequence[str]
    seed: int | Sequence[int] | None
    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    repetition_penalty: float | None
    logits_processor: Any
    stopping_criteria: Sequence[Callable[..., Any]] | Callable[..., Any] | None
    batch_size: int | None
    output_logits: bool
    output_probs: bool


class DecodeArguments(StreamArguments, total=False):
    """Say as well what follows a single prompt.

    ``streamer``: one of transformers' streamers (``put`` and ``end``), for one prompt; None: none.
    """

    streamer: object


def refuse_unknown(arguments: Mapping[str, object], known: type, function: str) -> None:
    """Raise TypeError, as Python would, for an argument that a typed dictionary does not list."""
    names: list[str] = sorted(known.__optional_keys__)  # type: ignore[attr-defined]
    for name in arguments:
        if name not in names:
            raise TypeError(
                f"{function}() got an unexpected keyword argument '{name}'{suggestion(name, names)}"
            )


def spelled(named: Sequence[inspect.Parameter]) -> Callable[[Function], Function]:
    """Show a function's ``**arguments`` one by one, with their defaults, to help() and the docs."""

    def show(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        function.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*own, *named]
        )
        return function

    return show

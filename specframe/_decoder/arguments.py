"""What a call of ``decode`` may say, beside its prompt: the one list of these arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

from specframe._words import suggestion

Function = TypeVar("Function", bound=Callable[..., Any])


class StreamArguments(TypedDict, total=False):
    """Say where a decode ends, how it samples, and what its result carries.

    ``docs/reference/python.md`` explains each under ``Decoder.decode``.
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
    output_logits: bool
    output_probs: bool


class DecodeArguments(StreamArguments, total=False):
    """Say as well how many prompts are decoded together, and who follows a single one."""

    batch_size: int | None
    streamer: object


def refuse_unknown(arguments: Mapping[str, object], known: type, function: str) -> None:
    """Raise TypeError for an argument that a typed dictionary does not list, as Python would."""
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

"""What a caller asks of a decoder, checked before anything runs."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Callable, Collection, Sequence
from typing import Any

import attrs
import torch

from specframe._decoder.arguments import DecodeArguments, StreamArguments, refuse_unknown
from specframe._decoder.streamers import Feed, as_feed
from specframe._errors import InputError
from specframe._loading.loading import Loaded
from specframe._round.rows import Row
from specframe._round.stops import Stops
from specframe._sampling.warping import Sampling, processors_of

Prompt = str | Sequence[int]


@attrs.frozen
class Request:
    """Hold the arguments of one ``decode`` without the prompt, and their defaults."""

    max_new_tokens: int | Sequence[int] = 128
    eos_token_id: int | Sequence[int] | None = None
    stop: Sequence[str] = ()
    seed: int | Sequence[int] | None = None
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    logits_processor: Any = None
    stopping_criteria: Sequence[Callable[..., Any]] | Callable[..., Any] | None = None
    batch_size: int | None = None
    output_logits: bool = False
    output_probs: bool = False
    streamer: Feed | None = attrs.field(default=None, converter=as_feed)
    sampling: Sampling = attrs.field(init=False)

    @sampling.default
    def _sampling(self) -> Sampling:
        return Sampling(
            self.temperature,
            self.top_k,
            self.top_p,
            self.min_p,
            self.repetition_penalty,
            processors_of(self.logits_processor),
        )

    def __attrs_post_init__(self) -> None:
        """Refuse what no model could serve."""
        budgets = [self.max_new_tokens] if _is_whole(self.max_new_tokens) else self.max_new_tokens
        if not isinstance(budgets, list | tuple) or not all(map(_is_positive, budgets)):
            raise InputError(
                f"max_new_tokens must be a whole number >= 1, got {self.max_new_tokens!r}"
            )
        if self.batch_size is not None and not _is_positive(self.batch_size):
            raise InputError(f"batch_size must be a whole number >= 1, got {self.batch_size!r}")
        stop: Any = self.stop
        if not isinstance(stop, list | tuple | set | frozenset) or not all(
            isinstance(text, str) and text for text in stop
        ):
            raise InputError(f"stop must be a list of non-empty strings, got {self.stop!r}")

    def check_lists(self, prompts: int) -> None:
        """Raise InputError for a list of another length, or a streamer with several prompts."""
        if self.streamer is not None and prompts > 1:
            raise InputError(
                f"streamer shows one prompt's text and {prompts} prompts were given: leave it out, "
                "or decode them one by one"
            )
        for name, given in (("max_new_tokens", self.max_new_tokens), ("seed", self.seed)):
            if isinstance(given, list | tuple) and len(given) != prompts:
                raise InputError(
                    f"{name} must be a whole number, or one for each prompt ({prompts}), "
                    f"got {given!r}"
                )

    def budget_of(self, index: int) -> int:
        """Return how many new tokens the prompt at ``index`` may have."""
        given = self.max_new_tokens
        return given if isinstance(given, int) else given[index]

    def eos(self, loaded: Loaded) -> frozenset[int]:
        """Return the token ids that end a row."""
        if self.eos_token_id is None:
            return loaded.eos
        given: Any = self.eos_token_id
        ids = [given] if _is_whole(given) else given
        if not isinstance(ids, Collection) or not all(map(_is_whole, ids)):
            raise InputError(f"eos_token_id must be token ids, got {self.eos_token_id!r}")
        return frozenset(ids)

    @property
    def criteria(self) -> tuple[Callable[[Sequence[int]], bool], ...]:
        """Return the stopping criteria, one or a list, as functions of a row's tokens."""
        given: Any = self.stopping_criteria
        if given is None:
            return ()
        criteria = given if isinstance(given, list | tuple) else (given,)
        for criterion in criteria:
            if not callable(criterion):
                raise InputError(
                    f"stopping_criteria takes functions of (ids, scores), got {criterion!r}"
                )
        return tuple(map(_criterion, criteria))

    def seed_of(self, index: int) -> int:
        """Return the seed of the prompt at ``index``, drawn if none was given."""
        given: Any = secrets.randbits(31) if self.seed is None else self.seed
        seed: Any = given[index] if isinstance(given, list | tuple) else given
        if not (_is_whole(seed) and 0 <= seed < 2**64):
            raise InputError(
                "seed must be a whole number from 0 to 2**64 - 1, or one for each prompt, "
                f"got {self.seed!r}"
            )
        return int(seed)


def parameters_of(arguments: type) -> list[inspect.Parameter]:
    """Return a typed dictionary's keys as parameters, with the defaults of a request."""
    fields = attrs.fields_dict(Request)
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=fields[name].default,
            annotation=hint.__forward_arg__,
        )
        for name, hint in arguments.__annotations__.items()
    ]


def request_of(arguments: DecodeArguments) -> Request:
    """Return what a call of ``decode`` asks for; raises InputError for what no model can serve."""
    refuse_unknown(arguments, DecodeArguments, "decode")
    return Request(**arguments)


def stream_request_of(arguments: StreamArguments) -> Request:
    """Return what a call of ``stream`` asks for; raises InputError like ``request_of``."""
    refuse_unknown(arguments, StreamArguments, "stream")
    return Request(**arguments)


def make_row(prompt: Prompt, index: int, request: Request, loaded: Loaded) -> Row:
    """Tokenise and check one prompt; raises InputError saying what is wrong with it."""
    ids = fitting_ids(prompt, loaded)
    if request.stop and loaded.tokenizer is None:
        raise InputError("stop strings need a tokenizer, and this model came without one")
    stops = Stops(
        request.budget_of(index),
        loaded.engine.context,
        request.eos(loaded),
        tuple(request.stop),
        request.criteria,
        None if loaded.tokenizer is None else decode_with(loaded.tokenizer),
    )
    return Row(index, len(ids), ids, stops, request.seed_of(index))


def fitting_ids(prompt: Prompt, loaded: Loaded) -> list[int]:
    """Return the prompt's token ids; raises InputError if no token can follow them."""
    ids = token_ids(prompt, loaded)
    context = loaded.engine.context
    if not ids:
        raise InputError("the prompt is empty: give some text, or at least one token id")
    if len(ids) >= context:
        raise InputError(
            f"the prompt has {len(ids)} tokens and the model's context window is {context}: "
            "shorten the prompt so that at least one new token fits"
        )
    return ids


def is_many(prompt: object) -> bool:
    """Tell a list of prompts from one prompt of token ids."""
    return isinstance(prompt, list | tuple) and any(
        isinstance(part, str | list | tuple) for part in prompt
    )


def token_ids(prompt: Prompt, loaded: Loaded) -> list[int]:
    """Return the prompt's token ids; a str is tokenised, special tokens included."""
    if isinstance(prompt, str):
        prompt = _tokenised(prompt, loaded)
    elif isinstance(prompt, torch.Tensor):
        prompt = prompt.flatten().tolist()
    vocab = loaded.engine.vocab_size
    ids = list(prompt)
    for token in ids:
        if not _is_whole(token) or not 0 <= token < vocab:
            raise InputError(
                f"the prompt holds {token!r}, which is no token id of this model (0 to {vocab - 1})"
            )
    return [int(token) for token in ids]


def _tokenised(prompt: str, loaded: Loaded) -> list[int]:
    if loaded.tokenizer is None:
        raise InputError(
            "the prompt is text and the model came without a tokenizer: "
            "give token ids, or tokenizer="
        )
    if not prompt:  # special tokens alone are no prompt
        return []
    ids: list[int] = loaded.tokenizer(prompt)["input_ids"]
    return ids


def decode_with(tokenizer: Any) -> Callable[[Sequence[int]], str]:
    """Return the function that turns new tokens into text, special tokens skipped."""

    def decode(ids: Sequence[int]) -> str:
        text: str = tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    return decode


def _criterion(criterion: Callable[..., Any]) -> Callable[[Sequence[int]], bool]:
    """Wrap one of transformers' StoppingCriteria for a single row."""

    def wrapped(tokens: Sequence[int]) -> bool:
        answer = criterion(torch.tensor([list(tokens)]), None)
        return bool(answer.any()) if isinstance(answer, torch.Tensor) else bool(answer)

    return wrapped


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: object) -> bool:
    return _is_whole(value) and value >= 1  # type: ignore[operator]

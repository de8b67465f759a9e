"""load() and Decoder: the loop, made ready for people."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import torch
from jaxtyping import Float
from torch import Tensor

from specframe import _defaults
from specframe._assembly import Parts, Setup, assemble, blame
from specframe._drafter import Drafter
from specframe._errors import InputError, MemoryShortageError
from specframe._loading import Loaded, Source, load_model
from specframe._loop import decode as run_loop
from specframe._metrics import Metrics, measure
from specframe._plugins import load_plugins
from specframe._request import Prompt, Request, decode_with, make_row
from specframe._round import Round, RowRound
from specframe._rows import Row, Rows
from specframe._sampler import Sampler
from specframe._target import Target
from specframe._text import TextStream, text_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from specframe._stop_policy import StopPolicy
    from specframe._verifier import Verifier


def load(
    model: str | os.PathLike[str] | PreTrainedModel | None = None,
    *,
    strategy: str | Drafter = _defaults.STRATEGY,
    options: Mapping[str, object] | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    verifier: str | Verifier | None = None,
    stop_policy: str | StopPolicy | None = None,
    dtype: str = "auto",
    device: str = "auto",
    exact: bool = False,
    trust_remote_code: bool = False,
    revision: str | None = None,
) -> Decoder:
    """Return a decoder for ``model``: a folder, a hub id, a loaded model, or None for the demo.

    ``strategy``, ``verifier`` and ``stop_policy`` are names or instances; ``options`` are the
    strategy's, with ``verifier.x`` and ``stop.y`` for those of the other two. ``dtype`` and
    ``device`` "auto": CUDA where present and there the checkpoint's dtype, float32 on a CPU; a
    loaded model is never cast or moved. Raises SpecframeError in one sentence.
    """
    if exact:
        raise InputError("exact=True (bitwise equal logits) is not part of this version")
    registry = load_plugins().registry
    source = Source(model, tokenizer, dtype, device, trust_remote_code, revision)
    # Names and options are checked before the model is loaded, which takes seconds.
    parts = assemble(registry, strategy, verifier, stop_policy, dict(options or {}))
    return Decoder(load_model(source, registry), parts)


class Decoder:
    """Decode prompts with one model and one strategy, one call at a time.

    Owns the drafter, the target's cache and the buffers; ``close`` (or leaving ``with``) releases
    them. ``setup`` names everything that is in force.
    """

    def __init__(self, loaded: Loaded, parts: Parts) -> None:
        """Prepare the drafter for the model; use ``specframe.load``."""
        self._loaded: Loaded | None = loaded
        self._parts = parts
        self._serving = threading.Lock()
        capabilities = parts.drafter.capabilities
        extra = capabilities.max_nodes or 0
        self._target: Target | None = Target(loaded.engine, extra_nodes=extra, origin=loaded.origin)
        with torch.inference_mode():
            parts.prepare(self._target)
        self.setup: Setup = parts.setup(loaded)

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        """Return the model's tokenizer, or None."""
        return self._open()[0].tokenizer

    @property
    def num_parameters_dtype(self) -> torch.dtype:
        """Return the dtype that the model computes in."""
        return self._open()[0].engine.dtype

    def decode(
        self,
        prompt: Prompt | Sequence[Prompt],
        *,
        max_new_tokens: int = 128,
        eos_token_id: int | Sequence[int] | None = None,
        stop: Sequence[str] = (),
        seed: int | Sequence[int] | None = None,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float | None = None,
        logits_processor: object = None,
        stopping_criteria: Sequence[Callable[..., Any]] | None = None,
        batch_size: int | None = None,
        output_logits: bool = False,
    ) -> Any:
        """Decode one prompt (str or token ids) to a Result, or a list of prompts to a list.

        ``eos_token_id=None``: the model's own; an empty tuple: never. ``stop``: strings. Raises
        InputError for what cannot be served; nothing is decoded then.
        """
        _refuse_sampling(
            temperature, top_k, top_p, min_p, repetition_penalty, logits_processor, batch_size
        )
        request = Request(
            max_new_tokens, eos_token_id, stop, seed, stopping_criteria, output_logits
        )
        many = _is_many(prompt)
        prompts: Sequence[Prompt] = prompt if many else [prompt]  # type: ignore[assignment,list-item]
        loaded, _ = self._open()
        rows = [make_row(one, index, request, loaded) for index, one in enumerate(prompts)]
        results = []
        for row in rows:
            stream = Stream(self, row, request)
            for _ in stream:
                pass
            results.append(stream.result)
        return results if many else results[0]

    def stream(
        self,
        prompt: Prompt,
        *,
        max_new_tokens: int = 128,
        eos_token_id: int | Sequence[int] | None = None,
        stop: Sequence[str] = (),
        seed: int | None = None,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float | None = None,
        logits_processor: object = None,
        stopping_criteria: Sequence[Callable[..., Any]] | None = None,
        batch_size: int | None = None,
        output_logits: bool = False,
    ) -> Stream:
        """Return an iterator over the rounds of one prompt; the prefill's token comes first.

        Its ``result`` is the Result of what has been decoded so far.
        """
        _refuse_sampling(
            temperature, top_k, top_p, min_p, repetition_penalty, logits_processor, batch_size
        )
        request = Request(
            max_new_tokens, eos_token_id, stop, seed, stopping_criteria, output_logits
        )
        if _is_many(prompt):
            raise InputError("stream takes one prompt; use decode for a list of prompts")
        return Stream(self, make_row(prompt, 0, request, self._open()[0]), request)

    def plain(self) -> Decoder:
        """Return a decoder without drafting on the same weights, with a cache of its own."""
        loaded, _ = self._open()
        parts = assemble(load_plugins().registry, _defaults.PLAIN, None, None, {})
        return Decoder(attrs.evolve(loaded, engine=loaded.engine.twin()), parts)

    def rounds(self, rows: Rows, *, output_logits: bool) -> Iterator[Round]:
        """Run the loop on ``rows``; refuses to serve two calls at a time."""
        _, target = self._open()
        if not self._serving.acquire(blocking=False):
            raise InputError("this decoder is serving another call: load a second one, or wait")
        try:
            target.keeps_logits = output_logits
            yield from self._guarded(target, rows)
        finally:
            self._serving.release()

    @torch.inference_mode()
    def _guarded(self, target: Target, rows: Rows) -> Iterator[Round]:
        parts, plugins = self._parts, load_plugins()
        try:
            for round in run_loop(
                target, parts.drafter, parts.verifier, parts.stop_policy, Sampler(), rows
            ):
                plugins.observe_round(round)
                yield round
        except Exception as error:
            if _is_memory(error):
                raise MemoryShortageError(
                    f"out of memory while decoding ({' '.join(str(error).split())[:120]}): lower "
                    "max_new_tokens or the prompt's length, or use a narrower dtype"
                ) from error
            raise blame(error, parts) from error

    def reset(self) -> None:
        """Clear what drafter and stop policy keep beyond a sequence."""
        self._parts.drafter.reset()
        self._parts.stop_policy.reset()

    def close(self) -> None:
        """Release model, cache and drafter; the decoder cannot be used afterwards."""
        self._loaded = None
        self._target = None

    def __enter__(self) -> Decoder:
        """Return the decoder itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the decoder."""
        self.close()

    def _open(self) -> tuple[Loaded, Target]:
        if self._loaded is None or self._target is None:
            raise InputError("this decoder is closed: load another one")
        return self._loaded, self._target


@attrs.frozen(eq=False)
class Result:
    """Hold what was decoded of one prompt.

    ``token_ids`` are the new tokens, with the EOS or the token that completed a stop string;
    ``text`` is decoded from them, special tokens skipped, cut before the stop string (None without
    a tokenizer); ``finish_reason`` is eos, stop, length, criteria or context, or None where the
    decoding was interrupted; ``rounds`` excludes the prefill.
    """

    token_ids: list[int]
    text: str | None
    finish_reason: str | None
    prompt_token_ids: list[int]
    seed: int
    metrics: Metrics
    rounds: list[RowRound]
    logits: Float[Tensor, "new vocab"] | None = None


class Stream:
    """Iterate over the rounds of one prompt; ``result`` is what has been decoded so far."""

    def __init__(self, decoder: Decoder, row: Row, request: Request) -> None:
        """Begin; nothing runs before the first round is asked for."""
        self._decoder = decoder
        self._row = row
        self._request = request
        self._plain_tokenizer = decoder.tokenizer
        self._text = self._text_stream()
        self._prefill: dict[str, float] = {}
        self._logits: list[Tensor] = []
        self.rounds: list[RowRound] = []
        self._iterator = self._run()

    def __iter__(self) -> Iterator[RowRound]:
        """Return the iterator itself."""
        return self

    def __next__(self) -> RowRound:
        """Return the next round."""
        return next(self._iterator)

    def close(self) -> None:
        """Stop decoding and free the decoder for another call."""
        self._iterator.close()

    @property
    def result(self) -> Result:
        """Return the result of all rounds until now."""
        row = self._row
        new = row.new_tokens
        text = None
        if self._plain_tokenizer is not None:
            text = text_of(new, decode_with(self._plain_tokenizer), row.stops.strings)
        return Result(
            token_ids=new,
            text=text,
            finish_reason=row.finish_reason,
            prompt_token_ids=row.tokens[: row.prompt_length],
            seed=row.seed,
            metrics=measure(row.prompt_length, len(new), self.rounds, self._prefill),
            rounds=list(self.rounds),
            logits=torch.cat(self._logits).clone() if self._logits else None,
        )

    def _run(self) -> Any:
        rounds = self._decoder.rounds(
            Rows([self._row]), output_logits=self._request.output_logits
        )
        for round in rounds:
            yield self._seen(round)
        load_plugins().observe_finished(self.result)

    def _seen(self, round: Round) -> RowRound:
        """Add text and logits to a round of the loop, and note it."""
        self._keep_logits(round)
        row_round = self._with_text(round.row(0))
        if round.draft is None:
            self._prefill = row_round.seconds
        else:
            self.rounds.append(row_round)
        return row_round

    def _with_text(self, round: RowRound) -> RowRound:
        if self._text is None:
            return round
        pieces = [
            (self._text.add([token]), place < round.accepted)
            for place, token in enumerate(round.committed)
        ]
        if round.finish_reason is not None:
            pieces.append((self._text.finish(), False))
        pieces = [piece for piece in pieces if piece[0]]
        return attrs.evolve(
            round, text="".join(text for text, _ in pieces), pieces=tuple(pieces)
        )

    def _keep_logits(self, round: Round) -> None:
        if not self._request.output_logits:
            return
        if round.commit is None:
            _, target = self._decoder._open()
            assert target.prefill_logits is not None
            self._logits.append(target.prefill_logits)
        elif round.commit.logits is not None:
            self._logits.append(round.commit.logits[0])

    def _text_stream(self) -> TextStream | None:
        if self._plain_tokenizer is None:
            return None
        return TextStream(decode_with(self._plain_tokenizer), self._row.stops.strings)


def _is_many(prompt: object) -> bool:
    """Tell a list of prompts from one prompt of token ids."""
    return isinstance(prompt, list | tuple) and any(
        isinstance(part, str | list | tuple) for part in prompt
    )


def _is_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def _refuse_sampling(
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
    repetition_penalty: float | None,
    logits_processor: object,
    batch_size: int | None,
) -> None:
    asked = {
        "temperature": temperature or None,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "logits_processor": logits_processor or None,
        "batch_size": None if batch_size == 1 else batch_size,
    }
    for name, value in asked.items():
        if value is not None:
            raise InputError(
                f"{name}={value!r} is not part of this version, which decodes greedily and one "
                "prompt at a time: leave it out"
            )

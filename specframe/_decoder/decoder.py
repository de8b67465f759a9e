"""load() and Decoder: the loop, ready to use."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

import attrs
import torch

from specframe import _defaults
from specframe._assembly.assembly import assemble
from specframe._assembly.blame import blame, blaming
from specframe._assembly.parts import Parts
from specframe._contracts.drafter import Drafter
from specframe._decoder.arguments import DecodeArguments, StreamArguments, spelled
from specframe._decoder.cache_watch import watched
from specframe._decoder.request import (
    Prompt,
    Request,
    is_many,
    make_row,
    parameters_of,
    request_of,
    stream_request_of,
)
from specframe._decoder.setup import Setup, setup_of
from specframe._decoder.stream import RowLog, Stream, drain
from specframe._engine.out_of_memory import ran_out_of_memory, shortage_while_decoding
from specframe._engine.runners.selection import on_runner
from specframe._errors import InputError
from specframe._exact.exact_runner import exact_on_runner
from specframe._exact.exact_target import target_on
from specframe._exact.exact_verifier import verifier_on
from specframe._loading.draft_models import Beside
from specframe._loading.loading import Loaded, Source, load_model
from specframe._loop.measured_probs import measured_rounds
from specframe._loop.rounds import rounds as run_loop
from specframe._plugins.discovery import load_plugins
from specframe._results.result import Result
from specframe._round.round import Round
from specframe._round.rows import Row, Rows
from specframe._sampling.sampler import Sampler
from specframe._target.target import Target

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from specframe._contracts.stop_policy import StopPolicy
    from specframe._contracts.verifier import Verifier


def load(  # noqa: PLR0913 (the public entry point)
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

    ``strategy``, ``verifier`` and ``stop_policy`` are names or instances; ``verifier=None``: the
    strategy's, else ``greedy`` at temperature 0 and ``match`` above. The keys of ``options`` are
    those of ``-o``: the strategy's options by name, ``verifier.x`` and ``stop.y`` for the others'.
    ``tokenizer``: for a loaded model, or instead of the folder's own. ``dtype``: auto, float64,
    float32, bfloat16 or float16; ``device``: auto, cpu, cuda or cuda:N. "auto" is CUDA where
    present, with the checkpoint's dtype, else the CPU with float32. A loaded model is never cast or
    moved. ``exact``: logits bitwise equal to those of plain decoding in that mode, slower.
    ``trust_remote_code`` and ``revision`` (a branch, tag or commit) are transformers'.

    Raises UnknownNameError for a name that is not registered; OptionError for ``options``;
    InputError for parts that do not fit together, or a dtype or device that cannot be had;
    ModelError for a model that cannot be read or split, or that the probe of exact mode refuses;
    AdapterError for its adapter; PluginError. All derive from SpecframeError.
    """
    registry = load_plugins().registry
    source = Source(model, tokenizer, dtype, device, trust_remote_code, revision)
    # Names and options are checked before the model is loaded, which takes seconds.
    parts = assemble(registry, strategy, verifier, stop_policy, dict(options or {}))
    loaded = load_model(source, registry)
    engine = (exact_on_runner if exact else on_runner)(loaded.engine)
    return Decoder(attrs.evolve(loaded, engine=engine), parts)


LARGEST_DEFAULT_BATCH = 8


class Decoder:
    """Decode prompts with one model and one strategy, one call at a time.

    Owns the drafter, the target's cache and the buffers; ``close`` (or leaving ``with``) releases
    them, and what needs the model raises InputError afterwards. ``setup`` names everything that is
    in force.
    """

    def __init__(self, loaded: Loaded, parts: Parts) -> None:
        """Prepare the drafter for the model; ``specframe.load`` calls this."""
        self._loaded: Loaded | None = loaded
        self._parts = parts
        self._serving = threading.Lock()
        beside = Beside(loaded, parts.registry)
        target = target_on(loaded.engine, origin=loaded.origin, opener=beside)
        self._target: Target | None = target
        with torch.inference_mode(), blaming(parts):
            parts.prepare(target)
        self.setup: Setup = setup_of(parts, loaded)

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        """Return the model's tokenizer, or None; raises InputError after ``close``."""
        return self._open()[0].tokenizer

    @property
    def loaded(self) -> Loaded:
        """Return the loaded model: its engine, tokenizer, origin, end tokens and source.

        Raises InputError after ``close``.
        """
        return self._open()[0]

    @property
    def target(self) -> Target:
        """Return the target, for inspection and benchmarks; raises InputError after ``close``."""
        return self._open()[1]

    @property
    def drafter(self) -> Drafter:
        """Return the drafter, for inspection and benchmarks."""
        return self._parts.drafter

    @spelled(parameters_of(DecodeArguments))
    def decode(
        self, prompt: Prompt | Sequence[Prompt], **arguments: Unpack[DecodeArguments]
    ) -> Any:
        """Decode one prompt (str or token ids) to a Result, or a list of prompts to a list.

        ``eos_token_id=None``: the model's own; an empty tuple: none. ``stop``: non-empty strings.
        ``temperature`` 0 is greedy; the sampling arguments mean what they mean in transformers, and
        None switches one off. ``seed`` (0 to 2**64 - 1; None: drawn) and ``max_new_tokens`` (at
        least 1) are for every row, or lists with one for each. ``stopping_criteria``: functions of
        (ids, scores); scores is None. ``batch_size`` prompts are decoded at a time (None: all, at
        most 8). ``output_logits``: the result carries ``logits [new, vocab]``; ``output_probs``:
        the rounds carry p and q, which takes time and changes no token. ``streamer``: one of
        transformers', for one prompt.

        Raises InputError for what cannot be served, before anything is decoded, and during another
        call; NumericsError for logits that are not finite; MemoryShortageError; PluginError, which
        names the part that broke its contract; RunnerError, a SpecframeError, where exact mode
        cannot continue. TypeError for an unknown argument. What the caller's own functions raise
        is passed on.
        """
        request = request_of(arguments)
        prompts = cast("Sequence[Prompt]", prompt if is_many(prompt) else [prompt])
        request.check_lists(len(prompts))
        loaded, _ = self._open()
        # All prompts are checked before the first is decoded.
        rows = [make_row(one, index, request, loaded) for index, one in enumerate(prompts)]
        size = self.rows_together(request.batch_size, len(rows))
        results = [
            result
            for start in range(0, len(rows), size)
            for result in self.decode_rows(rows[start : start + size], request)
        ]
        return results if is_many(prompt) else results[0]

    @spelled(parameters_of(StreamArguments))
    def stream(self, prompt: Prompt, **arguments: Unpack[StreamArguments]) -> Stream:
        """Return an iterator over the rounds of one prompt; the prefill's token comes first.

        The arguments are those of ``decode`` without ``streamer``. Raises
        InputError and TypeError as ``decode`` does, and InputError for several prompts; the other
        errors of ``decode``, and InputError during another call, come from ``next``. The stream's
        ``result`` is the Result of what has been decoded so far.
        """
        request = stream_request_of(arguments)
        if is_many(prompt):
            raise InputError("stream takes one prompt; use decode for a list of prompts")
        request.check_lists(1)
        row = make_row(prompt, 0, request, self._open()[0])
        return Stream(RowLog(row, self.tokenizer), self._rounds(Rows([row]), request))

    def plain(self) -> Decoder:
        """Return a decoder on the same weights that drafts nothing and has its own cache.

        Raises InputError after ``close``.
        """
        loaded, _ = self._open()
        parts = assemble(load_plugins().registry, _defaults.PLAIN, None, None, {})
        return Decoder(attrs.evolve(loaded, engine=loaded.engine.twin()), parts)

    def setup_at(self, temperature: float) -> Setup:
        """Return what is in force at a temperature; a verifier that nobody named follows it.

        Raises InputError for a named verifier that cannot sample at that temperature, PluginError
        for what the drafter's ``settings`` returns wrongly.
        """
        return setup_of(self._parts, self._open()[0], temperature)

    def rows_together(self, asked: int | None, prompts: int) -> int:
        """Return how many of ``prompts`` rows are decoded together if batch_size is ``asked``.

        Raises InputError for more than one if the drafter drafts for one row at a time.
        """
        if self.drafter.capabilities.batch:
            return max(1, min(asked or LARGEST_DEFAULT_BATCH, prompts))
        if asked is not None and asked > 1:
            raise InputError(
                f"batch_size is {asked} and drafter '{self._parts.drafter_name}' drafts for one "
                "row at a time: leave batch_size out"
            )
        return 1

    def decode_rows(self, rows: list[Row], request: Request) -> list[Result]:
        """Decode rows made from ``request`` together; return their results in the same order.

        Raises what ``decode`` raises while it decodes.
        """
        logs = [RowLog(row, self.tokenizer) for row in rows]
        return drain(logs, self._rounds(Rows(rows), request), request.streamer)

    def _rounds(self, rows: Rows, request: Request) -> Generator[Round]:
        """Run the loop on ``rows``; refuses to serve two calls at a time."""
        (_, target), parts = self._open(), self._parts
        if not self._serving.acquire(blocking=False):
            raise InputError("this decoder is serving another call: load a second one, or wait")
        try:
            verifier = verifier_on(target, parts.verifier.at(request.temperature).verifier)
            sampler = Sampler(request.sampling, wants_q=verifier.needs_q)
            run = measured_rounds if request.output_probs else run_loop
            target.keeps_logits = request.output_logits
            drafter = watched(parts.drafter)
            rounds = run(target, drafter, verifier, parts.stop_policy, sampler, rows)
            yield from self._guarded(rounds)
        finally:
            self._serving.release()

    @torch.inference_mode()
    def _guarded(self, rounds: Iterator[Round]) -> Generator[Round]:
        plugins = load_plugins()
        try:
            for round in rounds:
                plugins.observe_round(round)
                yield round
        except Exception as error:
            if ran_out_of_memory(error):
                raise shortage_while_decoding(error) from error
            raise blame(error, self._parts) from error

    def reset(self) -> None:
        """Clear what drafter and stop policy keep beyond a sequence; raises their PluginError."""
        with blaming(self._parts):
            self._parts.reset()

    def close(self) -> None:
        """Release model, cache and drafter; the decoder cannot be used afterwards."""
        self._loaded = None
        self._target = None

    def __enter__(self) -> Self:
        """Return the decoder itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the decoder."""
        self.close()

    def _open(self) -> tuple[Loaded, Target]:
        if self._loaded is None or self._target is None:
            raise InputError("this decoder is closed: load another one")
        return self._loaded, self._target

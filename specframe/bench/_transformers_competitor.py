"""transformers' ``generate`` as a competitor: plain, prompt lookup, early exit, assisted."""

from __future__ import annotations

import copy
import os
import time
from typing import Any

import attrs
import torch
from jaxtyping import Int
from torch import Tensor

from specframe._errors import InputError
from specframe._loading.loading import Loaded, demo_folder, quiet_transformers, read_model
from specframe._words import dtype_name
from specframe.bench._competitor import Draws, wait_for
from specframe.bench._contestants import Contestant
from specframe.bench._records import Seconds, StrategyRecord, Turn
from specframe.bench._transformers_options import (
    AssistedOptions,
    BaselineOptions,
    EarlyExitOptions,
    LookupOptions,
)

STOCK = "weights of transformers"  # their owner in the memory ledger
FRESH = "generate keeps nothing between calls"
RETUNED = (
    "transformers keeps the draft's length and threshold in the generation config and may tune "
    "them there: both are set anew before each run"
)


class StockModel:
    """Own the model as transformers has it, with an empty generation config.

    It has the weights, the dtype and the device of ``loaded``, whose engine keeps its own copy:
    others cannot use packed weights.
    """

    def __init__(self, loaded: Loaded) -> None:
        """Read the weights once more."""
        source = loaded.source
        self.dtype = dtype_name(loaded.engine.dtype)
        self.device = loaded.engine.device
        self.context, self.eos = loaded.engine.context, sorted(loaded.eos)
        self._source = attrs.evolve(source, dtype=self.dtype)
        model: Any = source.model
        if model is None or isinstance(model, str | os.PathLike):
            self.model: Any = self.read(os.fspath(demo_folder() if model is None else model))
        else:
            self.model = copy.deepcopy(model)
        self.model.generation_config = self.config()

    def read(self, name: str) -> Any:
        """Return another model of the same dtype on the same device."""
        return read_model(name, self._source, self.device)

    def config(self, **values: Any) -> Any:
        """Return a generation config with the end tokens of this model and ``values``."""
        from transformers import GenerationConfig  # noqa: PLC0415 (seconds)

        pad = self.eos[0] if self.eos else 0
        make: Any = GenerationConfig
        return make(eos_token_id=self.eos or None, pad_token_id=pad, **values)


class ChunkWatch:
    """Note when tokens came, and how many at once; ``generate`` takes it for a streamer."""

    def __init__(self, rows: int) -> None:
        """Wait for the prompt, which ``generate`` puts first."""
        self._rows = rows
        self._seen = False
        self._first: float | None = None
        self.start = 0.0  # set when ``generate`` is called
        self.chunks: list[int] = []

    @property
    def prefill(self) -> float | None:
        """Return the seconds until the first tokens were there."""
        return None if self._first is None else self._first - self.start

    def put(self, value: Tensor) -> None:
        """Take what was decided in one step."""
        if not self._seen:
            self._seen = True
            return
        if self._first is None:
            self._first = time.perf_counter()
        self.chunks.append(value.numel() // self._rows)

    def end(self) -> None:
        """Do nothing: no more tokens come."""


class TransformersCompetitor:
    """Decode with ``generate`` on the stock model."""

    def __init__(
        self, contestant: Contestant, options: BaselineOptions, stock: StockModel, draws: Draws
    ) -> None:
        """Read the assistant if there is one; raises SpecframeError for what does not fit."""
        self._stock, self._options, self._draws = stock, options, draws
        self._assistant: Any = None
        if isinstance(options, AssistedOptions):
            self._assistant = stock.read(options.model)
        if isinstance(options, EarlyExitOptions):
            self._check_exit(options.exit_layer)
        is_plain = options is None
        self.owners = frozenset({STOCK, contestant.name})
        self.record = StrategyRecord(
            name=contestant.name,
            kind="transformers",
            strategy=contestant.strategy,
            options={} if options is None else attrs.asdict(options),
            verifier=None,
            stop_policy=None,
            guarantee=None,
            state=FRESH if is_plain or isinstance(options, LookupOptions) else RETUNED,
        )

    def reset(self) -> None:
        """Reset what transformers would carry over from the run before."""
        options = self._options
        if isinstance(options, EarlyExitOptions):
            self._stock.model.generation_config = self._draft_config(options)
        elif isinstance(options, AssistedOptions):
            self._assistant.generation_config = self._draft_config(options)

    def decode(self, prompts: list[list[int]], budgets: list[int]) -> list[Turn]:
        """Decode prompts together, padded on the left."""
        if len(prompts) > 1 and self._options is not None:
            raise InputError(
                f"'{self.record.name}' decodes one prompt at a time, as transformers' assisted "
                "generation does: leave --batch-size out"
            )
        self.reset()  # a second turn must not find what the first one left
        ids, mask = padded(prompts, self._stock.device)
        room = self._stock.context - ids.shape[1]
        most = min(max(budgets), max(1, room))
        watch = ChunkWatch(len(prompts)) if self._is_watched else None
        prefill = None if watch else self._seconds(ids, mask, 1, None)[0]
        total, output = self._seconds(ids, mask, most, watch)
        if watch is not None:
            prefill = watch.prefill
        chunks = watch.chunks if watch else [1] * (output.shape[1] - ids.shape[1])
        new = output[:, ids.shape[1] :].tolist()
        seconds = Seconds(total=total, prefill=prefill)
        return [
            self._turn(len(prompt), tokens[:budget], seconds, chunks)
            for prompt, tokens, budget in zip(prompts, new, budgets, strict=True)
        ]

    @property
    def _is_watched(self) -> bool:
        """Tell whether tokens may be watched as they come.

        On a CUDA device that would add a synchronisation a token to plain ``generate``, which
        has none; its prefill is timed by a run of one token then.
        """
        return self._options is not None or self._stock.device.type != "cuda"

    def _seconds(
        self, ids: Tensor, mask: Tensor, most: int, watch: ChunkWatch | None
    ) -> tuple[float, Tensor]:
        torch.manual_seed(self._draws.seed)
        config, extra = self._config(most), {}
        if self._assistant is not None:
            extra["assistant_model"] = self._assistant
        body = getattr(self._stock.model, self._stock.model.base_model_prefix)
        layers = body.config.num_hidden_layers
        try:
            with torch.inference_mode(), quiet_transformers():
                start = time.perf_counter()
                if watch is not None:
                    watch.start = start
                output: Tensor = self._stock.model.generate(
                    ids, attention_mask=mask, generation_config=config, streamer=watch, **extra
                )
                wait_for(self._stock.device)
                seconds = time.perf_counter() - start
        finally:
            # Early exit lowers it while drafting and does not put it back when interrupted.
            body.config.num_hidden_layers = layers
        return seconds, output

    def _config(self, most: int) -> Any:
        values: dict[str, Any] = {"max_new_tokens": most, "do_sample": False}
        if self._draws.temperature:
            values |= {
                "do_sample": True,
                "temperature": self._draws.temperature,
                "top_k": 0,
                "top_p": 1.0,
            }
        options = self._options
        if isinstance(options, LookupOptions):
            values["prompt_lookup_num_tokens"] = options.steps
            values["max_matching_ngram_size"] = options.max_ngram
        if isinstance(options, EarlyExitOptions):
            values["assistant_early_exit"] = options.exit_layer
        return self._stock.config(**values)

    def _draft_config(self, options: EarlyExitOptions | AssistedOptions) -> Any:
        """Return the draft's settings; they are read from the drafting model's own config."""
        return self._stock.config(
            num_assistant_tokens=options.steps,
            num_assistant_tokens_schedule="constant",
            assistant_confidence_threshold=options.threshold or 0.0,  # None would mean 0.4
        )

    def _check_exit(self, exit_layer: int) -> None:
        layers = self._stock.model.config.get_text_config().num_hidden_layers
        if exit_layer >= layers:
            raise InputError(
                f"exit_layer is {exit_layer} and the model has {layers} layers: exit before the "
                "last one"
            )

    def _turn(self, prompt: int, tokens: list[int], seconds: Seconds, chunks: list[int]) -> Turn:
        ends = [place for place, token in enumerate(tokens) if token in self._stock.eos]
        kept = tokens[: ends[0] + 1] if ends else tokens
        return Turn(
            num_prompt_tokens=prompt,
            token_ids=kept,
            text=None,
            finish_reason="eos" if ends else "length",
            seconds=seconds,
            chunks=cut(chunks, len(kept)),
        )


def padded(
    prompts: list[list[int]], device: torch.device
) -> tuple[Int[Tensor, "batch token"], Int[Tensor, "batch token"]]:
    """Return prompts as rows of one length, padded on the left, and the mask that says so."""
    longest = max(map(len, prompts))
    ids = [[0] * (longest - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def cut(chunks: list[int], tokens: int) -> list[int]:
    """Return the first chunks, the last one cut, so that they add up to ``tokens``."""
    kept: list[int] = []
    for chunk in chunks:
        kept.append(min(chunk, tokens - sum(kept)))
        if sum(kept) == tokens:
            break
    return kept

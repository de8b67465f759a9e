"""What ``gpu.py`` runs: random models, planted decoding, transformers' own, and their timing."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import torch
from planted import PlantedSampler, Script
from transformers import AutoConfig, AutoModelForCausalLM

import specframe
from specframe import Drafter, Row, Rows, StopPolicy, Stops, Target
from specframe._engine.runners.selection import on_runner
from specframe._loading.probe import admit
from specframe._plugins.discovery import load_plugins
from specframe_kangaroo import Adapter, AdapterConfig, Checkpoint, KangarooOptions
from specframe_kangaroo._drafter import KangarooDrafter
from specframe_verifiers._match import GreedyVerifier

EXIT_LAYER, LONGEST_CHAIN = 2, 12
CONTEXT = 4096
Measure = Callable[[Callable[[], object]], float]


@attrs.frozen
class Shape:
    """Give the sizes of a Llama-like model."""

    layers: int
    width: int
    mlp: int
    heads: int
    kv_heads: int
    vocab: int

    @property
    def layer_values(self) -> int:
        """Return the number of weights of one layer that a pass reads."""
        head = self.width // self.heads
        attention = self.width * head * (2 * self.heads + 2 * self.kv_heads)
        return attention + 3 * self.width * self.mlp

    @property
    def head_values(self) -> int:
        """Return the number of weights of the head."""
        return self.width * self.vocab

    @property
    def adapter_values(self) -> int:
        """Return the number of weights of the adapter."""
        return 4 * self.width * self.width


@attrs.frozen
class Setting:
    """Say where and how much is measured."""

    device: torch.device
    dtype: torch.dtype
    prompt: list[int]
    tokens: int
    repeats: int


@attrs.frozen
class Figure:
    """What one way to decode took and gave, the prefill left out.

    ``length`` is in tokens a round; ``idle`` is the device's share of time without work, ``memory``
    the most that was allocated, as a share of weights and caches; None where no device tells.
    ``error`` says why there are no figures.
    """

    seconds: float
    length: float = 1.0
    idle: float | None = None
    memory: float | None = None
    error: str | None = None


def attempt(measure: Callable[[], Figure]) -> Figure:
    """Return what was measured, or the fault that ended it: it costs a row, not the table."""
    try:
        return measure()
    except Exception as error:  # noqa: BLE001 (any fault costs this row alone)
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return Figure(float("nan"), error=said[:300])


def copy_bandwidth(device: torch.device) -> float:
    """Return the bytes a second that a large copy reads and writes."""
    size = 1 << (31 if device.type == "cuda" else 24)
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    into = torch.empty_like(source)
    seconds = min(timed(lambda: into.copy_(source), device) for _ in range(8))
    return 2 * size / seconds


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Return how long ``work`` takes, until the device has done it."""
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def wait(device: torch.device) -> None:
    """Wait for a device that works on its own."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def random_model(shape: Shape, setting: Setting) -> Any:
    """Return a Llama of random weights, made on the device."""
    config = AutoConfig.for_model(
        "llama",
        vocab_size=shape.vocab,
        hidden_size=shape.width,
        intermediate_size=shape.mlp,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=CONTEXT,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    with torch.device(setting.device):
        model = AutoModelForCausalLM.from_config(config, dtype=setting.dtype)
    return model.eval()


def kangaroo(shape: Shape, *, tree: bool) -> KangarooDrafter:
    """Return a drafter whose adapter is random and of the real size."""
    config = AdapterConfig(shape.width, shape.heads, shape.heads)

    def make(_: Target) -> Checkpoint:
        return Checkpoint(
            Adapter(config), exit_layer=EXIT_LAYER, steps=LONGEST_CHAIN, threshold=0.0
        )

    return KangarooDrafter(KangarooOptions(tree=tree), make)


class Bench:
    """Decode on one engine, whose weights are the model's; the model is not used afterwards."""

    def __init__(self, model: Any, setting: Setting) -> None:
        """Take the model apart as one that was loaded by name, on the device's own runner."""
        self._weights = sum(weight.nbytes for weight in model.parameters())
        family = load_plugins().registry.family("llama").build()
        self.engine: Any = on_runner(admit(model, family, "llama", owned=True))
        self._setting = setting

    def measure(self, drafter: Drafter, stop: StopPolicy, script: Script) -> Figure:
        """Return the fastest of several decodes; one before them records and warms up."""
        target = Target(self.engine, extra_nodes=drafter.capabilities.max_nodes or 0)
        drafter.prepare(target)
        device = self._setting.device
        one = partial(self._decode, target, drafter, stop, script)
        on_the_clock = partial(timed, device=device)
        one(on_the_clock)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        seconds, tokens, rounds = min(one(on_the_clock) for _ in range(self._setting.repeats))
        each = seconds / tokens
        if device.type != "cuda":
            return Figure(each, tokens / rounds)
        memory = torch.cuda.max_memory_allocated(device) / self._needed(drafter)
        busy = one(busy_seconds)[0] / tokens
        return Figure(each, tokens / rounds, 1 - busy / each, memory)

    def _needed(self, drafter: Any) -> int:
        adapter = getattr(drafter, "_adapter", None)
        caches = [self.engine.cache, *([adapter._cache] if adapter else [])]  # noqa: SLF001
        size: int = self._weights + sum(cache._whole.nbytes for cache in caches)  # noqa: SLF001
        if adapter:
            width = self.engine.hidden_size
            size += 4 * width * width * self.engine.dtype.itemsize
        return size

    def _decode(
        self,
        target: Target,
        drafter: Drafter,
        stop: StopPolicy,
        script: Script,
        measured: Measure,
    ) -> tuple[float, int, int]:
        """Return what ``measured`` says of one decode after its prefill, its tokens, rounds."""
        setting = self._setting
        row = Row(0, len(setting.prompt), list(setting.prompt), Stops(setting.tokens, CONTEXT))
        sampler, rows = PlantedSampler(script), Rows([row])
        verifier = GreedyVerifier()
        target.accept_ahead(capturable=verifier.capturable)
        loop = specframe.rounds(target, drafter, verifier, stop, sampler, rows)
        next(loop)
        last: deque[tuple[int, object]] = deque(maxlen=1)
        seconds = measured(lambda: last.extend(enumerate(loop, start=1)))
        wrong = [t for t, s in zip(row.new_tokens, script.text.tolist(), strict=False) if t != s]
        assert not wrong, "the text is not the script's"
        return seconds, row.count - 1, last[0][0]


def busy_seconds(work: Callable[[], object]) -> float:
    """Return how long kernels ran during ``work``, copies included."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        work()
        torch.cuda.synchronize()
    return sum(event.self_device_time_total for event in profile.key_averages()) / 1e6


def generate(model: Any, setting: Setting, *, compiled: bool) -> Figure:
    """Return transformers' own greedy decoding, prefill left out.

    With a static cache it compiles its forward on CUDA by itself; on a CPU it does not.
    """
    tokens = torch.tensor([setting.prompt], device=setting.device)
    more: dict[str, Any] = {"cache_implementation": "static"} if compiled else {}

    def run(count: int) -> float:
        return timed(
            lambda: model.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=count,
                min_new_tokens=count,
                do_sample=False,
                pad_token_id=0,
                **more,
            ),
            setting.device,
        )

    try:
        run(setting.tokens)
        whole = min(run(setting.tokens) for _ in range(setting.repeats))
        start = min(run(1) for _ in range(setting.repeats))
    finally:
        if compiled:  # what it compiled and recorded holds memory, which would be counted as ours
            model._cache = model._compiled_call = None  # noqa: SLF001
            torch.compiler.reset()
            gc.collect()
    return Figure((whole - start) / (setting.tokens - 1))

"""From a folder, a hub id or a loaded model to an engine, a tokenizer and facts about both."""

from __future__ import annotations

import contextlib
import importlib
import importlib.resources
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import torch

from specframe import _defaults
from specframe._assembly.blame import blaming_component
from specframe._engine.engine import Engine
from specframe._engine.family import Family
from specframe._engine.model_origin import Origin
from specframe._errors import InputError, ModelError, UnknownNameError
from specframe._loading.fingerprint import fingerprint
from specframe._loading.hub_ids import is_hub_id
from specframe._loading.probe import admit
from specframe._loading.weights import all_weights, refuse_scattered
from specframe._plugins.registry import Registry
from specframe._words import dtype_name

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from specframe._plugins.component import Component

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
# Layer types of transformers configs that carry a state from token to token. It can neither be
# rolled back to an accepted prefix nor branch as a draft tree needs, so such models are refused.
RECURRENT_LAYERS = frozenset(
    {"conv", "hybrid", "hybrid_sliding", "linear_attention", "mamba", "recurrent"}
)
DEMO = "demo"  # the name of the bundled model: its folder would tell nothing
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json")


@attrs.frozen
class Source:
    """Say which model to load, and how.

    ``dtype`` and ``device`` are names, or "auto": CUDA where present, with the checkpoint's dtype;
    else the CPU with float32.
    """

    model: str | os.PathLike[str] | PreTrainedModel | None = None
    tokenizer: Any = None
    dtype: str = "auto"
    device: str = "auto"
    trust_remote_code: bool = False
    revision: str | None = None


@attrs.frozen(eq=False)
class Loaded:
    """Hold a model that passed the probe, its tokenizer (None: ids only), and its origin."""

    engine: Engine
    tokenizer: PreTrainedTokenizerBase | None
    origin: Origin
    eos: frozenset[int]
    source: Source


def load_model(source: Source, registry: Registry) -> Loaded:
    """Load, split and probe the model that ``source`` names.

    Raises ModelError, InputError, or PluginError of its family adapter.
    """
    model = source.model
    if model is None:
        return _load_named(os.fspath(demo_folder()), source, registry, called=DEMO)
    if isinstance(model, str | os.PathLike):
        return _load_named(os.fspath(model), source, registry)
    return _take(model, source, registry)


def demo_folder() -> Path:
    """Return the folder of the bundled demo model."""
    package = importlib.import_module(_defaults.MODEL)
    return Path(str(importlib.resources.files(package) / "model"))


def demo_prompt() -> str:
    """Return the bundled prompt that is decoded when none is given."""
    return (demo_folder().parent / "prompt.txt").read_text("utf-8")


def demo_prompt_file() -> Path:
    """Return the bundled file of prompts that models are checked on."""
    return demo_folder().parent / "prompts.jsonl"


def _take(model: Any, source: Source, registry: Registry) -> Loaded:
    """Use a model that the caller holds: never cast, moved or re-configured."""
    if not (hasattr(model, "config") and hasattr(model, "get_output_embeddings")):
        raise ModelError(
            "model must be a folder, a hub id or a transformers model, "
            f"got {model.__class__.__name__}"
        )
    if model.get_output_embeddings() is None:
        raise ModelError(
            f"{model.__class__.__name__} is no causal language model, since it has no head that "
            "predicts tokens: load it with AutoModelForCausalLM"
        )
    weight = model.get_input_embeddings().weight
    for asked, name, actual in (
        (source.dtype, "dtype", dtype_name(weight.dtype)),
        (source.device, "device", str(weight.device)),
    ):
        if asked not in ("auto", actual, actual.partition(":")[0]):
            raise InputError(
                f"{name}={asked!r} was asked for and the model that was handed over has {actual}: "
                f"it is left as it is, so leave {name} at 'auto' or convert the model before"
            )
    known = _Known(model.config.name_or_path or model.__class__.__name__, None, owned=False)
    return _admit(model, source, registry, known)


def _load_named(
    name: str, source: Source, registry: Registry, *, called: str | None = None
) -> Loaded:
    folder = Path(name) if Path(name).is_dir() else None
    if folder is not None and not (folder / "config.json").is_file():
        raise ModelError(f"'{name}' is no model folder: it has no config.json")
    if folder is None and (Path(name).exists() or not is_hub_id(name)):
        raise ModelError(f"there is no model folder '{name}'")
    device = _device(source.device)
    model = read_model(name, source, device)
    tokenizer = source.tokenizer or _tokenizer(name, folder, source)
    its_source = attrs.evolve(source, tokenizer=tokenizer)
    return _admit(model, its_source, registry, _Known(called or name, folder, owned=True))


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} is not available here: use 'cpu' or 'auto'") from error
    return device


def read_model(name: str, source: Source, device: torch.device) -> PreTrainedModel:
    """Read a model's weights; raises ModelError in one sentence."""
    from transformers import AutoModelForCausalLM  # noqa: PLC0415 (seconds)

    if source.dtype not in ("auto", *DTYPES):
        raise InputError(f"dtype must be auto or one of {', '.join(DTYPES)}, got {source.dtype!r}")
    on_cpu = device.type == "cpu"
    dtype = (torch.float32 if on_cpu else "auto") if source.dtype == "auto" else source.dtype
    try:
        with quiet_transformers():
            model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
                name,
                dtype=DTYPES.get(dtype, dtype) if isinstance(dtype, str) else dtype,
                trust_remote_code=source.trust_remote_code,
                revision=source.revision or "main",
            )
        module: Any = model
        module.eval()
        if module.device.type != device.type or device.index not in (None, module.device.index):
            module.to(device)  # only if needed, since some quantised models refuse it
    except (ImportError, OSError, ValueError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"'{name}' cannot be loaded as a causal language model: {reason}"
        ) from error
    return model


def _tokenizer(name: str, folder: Path | None, source: Source) -> Any:
    from transformers import AutoTokenizer  # noqa: PLC0415 (seconds)

    if folder is not None and not any((folder / file).is_file() for file in TOKENIZER_FILES):
        return None
    try:
        return AutoTokenizer.from_pretrained(
            name, trust_remote_code=source.trust_remote_code, revision=source.revision or "main"
        )
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"the tokenizer of '{name}' cannot be loaded: {reason}") from error


@attrs.frozen
class _Known:
    """Say where a model came from, and whether the engine may rearrange it."""

    name: str
    folder: Path | None
    owned: bool = attrs.field(kw_only=True)


def _admit(model: PreTrainedModel, source: Source, registry: Registry, known: _Known) -> Loaded:
    family = model.config.model_type
    try:
        component = registry.family(family)
    except UnknownNameError as error:
        raise ModelError(
            _recurrence(model) or f"no family adapter splits models of type '{family}': {error}"
        ) from error
    refuse_scattered(all_weights(model))
    # Taken before the split, which may use the weights up.
    origin = Origin(known.name, known.folder, fingerprint(model), source.tokenizer)
    eos = _eos_of(model)
    with torch.inference_mode(), _eval_mode(model):
        engine = _split(model, component, owned=known.owned)
    return Loaded(engine, source.tokenizer, origin, eos, source)


def _split(model: PreTrainedModel, component: Component, *, owned: bool) -> Engine:
    """Let a family adapter take the model apart; its faults are named as its own."""
    adapter = component.build()
    if not isinstance(adapter, Family):
        raise component.fault(
            f"registers {type(adapter).__name__} as family '{component.name}', "
            "which does not derive from specframe.Family"
        )
    with blaming_component(component):
        return admit(model, adapter, component.name, owned=owned, plugin=component.plugin)


def _recurrence(model: Any) -> str | None:
    """Return why a model with recurrent layers is refused, None if it has none."""
    types: list[str] = getattr(model.config.get_text_config(), "layer_types", None) or []
    recurrent = sorted(RECURRENT_LAYERS.intersection(types))
    # transformers' own mark of models that its assisted generation refuses.
    if not recurrent and not getattr(model, "_is_stateful", False):
        return None
    layers = f"layers of type '{recurrent[0]}'" if recurrent else "layers"
    return (
        f"models of type '{model.config.model_type}' cannot be decoded speculatively: their "
        f"{layers} keep a recurrent state, which can neither be rolled back to an accepted prefix "
        "nor branch as a draft tree needs"
    )


def _eos_of(model: PreTrainedModel) -> frozenset[int]:
    config: Any = model.generation_config
    eos = config.eos_token_id
    if eos is None:
        return frozenset()
    return frozenset(eos if isinstance(eos, list | tuple) else [eos])


@contextlib.contextmanager
def _eval_mode(model: Any) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, was_training in modes:
            module.training = was_training


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' own progress bars and notes off the terminal while it loads."""
    from transformers.utils import logging as its_logging  # noqa: PLC0415 (seconds)

    logging: Any = its_logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()

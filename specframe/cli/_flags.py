"""The flags that commands share: how they are typed, and what they mean."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import attrs
import typer

from specframe import _defaults
from specframe._errors import InputError, OptionError
from specframe.cli import _completions
from specframe.cli._startup import without_collector

if TYPE_CHECKING:
    from specframe import Decoder
    from specframe._decoder.arguments import StreamArguments

Dtype = Literal["auto", "float64", "float32", "bfloat16", "float16"]
DtypeFlag = Annotated[
    Dtype,
    typer.Option("--dtype", metavar="NAME", help="auto, float64, float32, bfloat16 or float16"),
]
DeviceFlag = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        help="auto, cpu, cuda or cuda:0",
        autocompletion=_completions.devices,
    ),
]
Prompt = Annotated[
    str | None, typer.Argument(metavar="PROMPT|-", help="the prompt; - is standard input")
]
PromptFile = Annotated[
    Path | None,
    typer.Option("--prompt-file", "-p", metavar="FILE", help="read the prompt from a file"),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", help="a folder or a hub id; absent: the demo model"
    ),
]
StrategyName = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="how to draft; `specframe strategies` lists them; absent: "
        f"{_defaults.STRATEGY}, or {_defaults.DRAFT_MODEL} beside --draft-model",
        autocompletion=_completions.strategies,
    ),
]
DraftModel = Annotated[
    str | None,
    typer.Option(
        "--draft-model",
        metavar="MODEL",
        help="a smaller model that drafts, a folder or a hub id; short for -o model=MODEL",
    ),
]
Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        help="an option of the strategy",
        autocompletion=_completions.options,
    ),
]
VerifierName = Annotated[
    str | None,
    typer.Option(
        "--verifier",
        metavar="NAME",
        help="what decides which drafted tokens stay",
        autocompletion=_completions.verifiers,
    ),
]
StopPolicyName = Annotated[
    str | None,
    typer.Option(
        "--stop-policy",
        metavar="NAME",
        help="what ends a draft early",
        autocompletion=_completions.stop_policies,
    ),
]
MaxNewTokens = Annotated[
    int, typer.Option("--max-new-tokens", min=1, metavar="N", help="most tokens to decode")
]
StopTexts = Annotated[
    list[str] | None, typer.Option("--stop", metavar="TEXT", help="end here; may be repeated")
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", min=0, max=2**64 - 1, metavar="N", help="seed of the sampling"),
]
Exact = Annotated[
    bool,
    typer.Option("--exact", help="logits bitwise equal to plain decoding with --exact; slower"),
]
Temperature = Annotated[
    float, typer.Option("--temperature", min=0, metavar="T", help="0 is greedy")
]
TopK = Annotated[
    int | None, typer.Option("--top-k", min=0, metavar="K", help="sample from the K likeliest")
]
TopP = Annotated[
    float | None,
    typer.Option("--top-p", metavar="P", help="sample from the fewest tokens that hold P"),
]
MinP = Annotated[
    float | None,
    typer.Option("--min-p", metavar="P", help="drop tokens below P times the likeliest one"),
]
RepetitionPenalty = Annotated[
    float | None,
    typer.Option("--repetition-penalty", metavar="R", help="above 1 discourages repetition"),
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", min=1, metavar="N", help="prompts of --prompts decoded together"),
]
Chat = Annotated[
    bool | None, typer.Option("--chat/--no-chat", help="apply the chat template, if there is one")
]
NoStream = Annotated[bool, typer.Option("--no-stream", help="print the text at the end")]
Compare = Annotated[
    bool, typer.Option("--compare", help="decode plainly too: rates, speed-up, same tokens?")
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object and no text")]
Quiet = Annotated[bool, typer.Option("--quiet", help="no statistics and no notes")]
TraceFlag = Annotated[
    Path | None,
    typer.Option(
        "--trace", metavar="FILE", help="write what every round did, to FILE.html or FILE.jsonl"
    ),
]
PromptsFile = Annotated[
    Path | None,
    typer.Option("--prompts", metavar="FILE", help="JSON lines of prompts; needs --output"),
]
OutputFlag = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="results of --prompts; a rerun continues"),
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="run code that comes with the model")
]
Revision = Annotated[
    str | None, typer.Option("--revision", metavar="R", help="branch, tag or commit on the hub")
]


def parse_options(given: list[str] | None) -> dict[str, str]:
    """Return ``-o KEY=VALUE`` pairs as a dict; raises OptionError for what is no pair."""
    options: dict[str, str] = {}
    for pair in given or []:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not (key and equals):
            raise OptionError(f"-o takes KEY=VALUE, such as -o steps=4; got '{pair}'")
        if key in options:
            raise OptionError(f"option '{key}' is given twice: {options[key]} and {value}")
        options[key] = value
    return options


def options_of(given: list[str] | None, draft_model: str | None) -> dict[str, str]:
    """Return the options of ``-o``, and the one that ``--draft-model`` is short for."""
    return parse_options([*(given or []), *([f"model={draft_model}"] if draft_model else [])])


def strategy_of(named: str | None, draft_model: str | None) -> str:
    """Return the strategy: the one that is named, else what ``--draft-model`` asks for."""
    return named or (_defaults.DRAFT_MODEL if draft_model else _defaults.STRATEGY)


def check_device(device: str) -> str:
    """Return ``device`` if it is named as devices are; else raise InputError."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise InputError(f"--device is '{device}': give auto, cpu, cuda or cuda:0")
    return device


@attrs.frozen(kw_only=True)
class Loading:
    """What ``specframe.load`` is asked for."""

    model: str | None = None
    strategy: str
    options: dict[str, str] = attrs.Factory(dict)
    verifier: str | None = None
    stop_policy: str | None = None
    dtype: Dtype = "auto"
    device: str = "auto"
    exact: bool = False
    trust_remote_code: bool = False
    revision: str | None = None

    def check(self) -> None:
        """Raise for names that nothing registers and for options that do not fit.

        Before anything heavy is imported, and anything is said.
        """
        from specframe._plugins.discovery import load_registry  # noqa: PLC0415
        from specframe._plugins.option_routing import check_names_and_options  # noqa: PLC0415 (one per command)

        registry = load_registry()
        check_names_and_options(
            registry, self.strategy, self.verifier, self.stop_policy, self.options
        )

    def check_names(self) -> None:
        """Raise for names that nothing registers, where options are looked at later."""
        from specframe._plugins.discovery import load_registry  # noqa: PLC0415 (one per command)

        registry = load_registry()
        registry.strategy(self.strategy)
        if self.verifier is not None:
            registry.verifier(self.verifier)
        if self.stop_policy is not None:
            registry.stop_policy(self.stop_policy)

    def open(self) -> Decoder:
        """Load the decoder."""
        arguments: dict[str, Any] = attrs.asdict(self)
        with without_collector():
            from specframe import load  # noqa: PLC0415 (imports torch)

            return load(arguments.pop("model"), **arguments)


@attrs.frozen(kw_only=True)
class Limits:
    """Where a decode ends, and how it samples."""

    max_new_tokens: int
    stop: tuple[str, ...] = ()
    seed: int | None = None
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None

    def check(self) -> None:
        """Raise InputError for what is out of range, before anything heavy is imported."""
        if not math.isfinite(self.temperature):
            raise InputError(f"--temperature must be a number, got {self.temperature}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"--top-p must be above 0 and at most 1, got {self.top_p}")
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            raise InputError(f"--min-p must lie between 0 and 1, got {self.min_p}")
        penalty = self.repetition_penalty
        if penalty is not None and not 0 < penalty < math.inf:
            raise InputError(f"--repetition-penalty must be a number above 0, got {penalty}")

    def arguments(self) -> StreamArguments:
        """Return them as keyword arguments of ``decode`` and ``stream``."""
        return cast("StreamArguments", attrs.asdict(self))

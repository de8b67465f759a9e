"""``specframe check``: its flags, the prompts that it decodes, the exit code."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import attrs
import typer

from specframe._files import to_line
from specframe.cli import _completions, _flags
from specframe.cli._check_report import Context, check_lines, check_object
from specframe.cli._display import Notes, say
from specframe.cli._exit_code import FINE, INTERRUPTED, MISMATCH
from specframe.cli._prompt import for_model
from specframe.cli._prompt_file import PromptLine, read_prompt_file
from specframe.cli._run_file import progress

if TYPE_CHECKING:
    from specframe import Decoder
    from specframe._decoder.arguments import StreamArguments
    from specframe._judging.check import Checker
    from specframe._judging.pairs import Pair

RANDOM_TOKENS = 16  # of each prompt for a model without a tokenizer


def check(  # noqa: PLR0913 (one parameter a flag)
    strategy: Annotated[
        str,
        typer.Argument(
            metavar="STRATEGY",
            help="`specframe strategies` lists them",
            autocompletion=_completions.strategies,
        ),
    ],
    *,
    model: _flags.Model = None,
    option: _flags.Pairs = None,
    draft_model: _flags.DraftModel = None,
    verifier: _flags.VerifierName = None,
    stop_policy: _flags.StopPolicyName = None,
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", metavar="FILE", help="JSON lines of prompts; absent: bundled"),
    ] = None,
    num_prompts: Annotated[
        int, typer.Option("--num-prompts", min=1, metavar="N", help="most prompts to decode")
    ] = 8,
    max_new_tokens: _flags.MaxNewTokens = 128,
    temperature: _flags.Temperature = 0.0,
    seed: _flags.Seed = 0,
    dtype: _flags.DtypeFlag = "auto",
    device: _flags.DeviceFlag = "auto",
    json: _flags.Json = False,
    trust_remote_code: _flags.TrustRemoteCode = False,
    revision: _flags.Revision = None,
) -> int:
    """Compare a strategy with plain decoding: the same tokens, a NUMERIC TIE, or a BUG."""
    loading = _flags.Loading(
        model=model,
        strategy=strategy,
        options=_flags.options_of(option, draft_model),
        verifier=verifier,
        stop_policy=stop_policy,
        dtype=dtype,
        device=_flags.check_device(device),
        trust_remote_code=trust_remote_code,
        revision=revision,
    )
    loading.check()
    limits = _flags.Limits(max_new_tokens=max_new_tokens, seed=seed, temperature=temperature)
    lines = None if prompts is None else read_prompt_file(prompts)[:num_prompts]
    refuse_before_loading(loading, temperature)
    return run(lines, num_prompts, loading, limits, json=json)


def refuse_before_loading(loading: _flags.Loading, temperature: float) -> None:
    """Raise for options that do not fit, and for a verifier that promises no tokens."""
    from specframe._assembly.assembly import assemble  # noqa: PLC0415 (imports torch)
    from specframe._judging.check import require_tokens  # noqa: PLC0415
    from specframe._plugins.discovery import load_registry  # noqa: PLC0415

    registry, options = load_registry(), dict(loading.options)
    parts = assemble(registry, loading.strategy, loading.verifier, loading.stop_policy, options)
    named = parts.verifier.at(temperature)
    require_tokens(named.verifier.guarantee, named.name, temperature)


def run(
    lines: list[PromptLine] | None,
    count: int,
    loading: _flags.Loading,
    limits: _flags.Limits,
    *,
    json: bool,
) -> int:
    """Load, decode everything both ways, judge, print, and return the exit code."""
    from specframe._judging.check import Checker  # noqa: PLC0415 (imports torch)

    notes = Notes()
    notes.note(f"loading {loading.model or 'the demo model'}")
    with loading.open() as decoder:
        checker = Checker(decoder, limits.arguments())
        lines = fitting(lines or stand_ins(decoder, count, limits), decoder, notes)
        pairs: list[Pair] = []
        try:
            compare_all(checker, lines, pairs, notes)
        except KeyboardInterrupt:
            same = sum(pair.is_identical for pair in pairs)
            done = f"{len(pairs)} of {len(lines)} prompts were compared"
            notes.note(f"interrupted; {done}, {same} of them identical, the others not judged")
            return INTERRUPTED
        report = checker.report(pairs)
        setup = decoder.setup_at(limits.temperature)
        context = Context(lines, loading, limits, setup)
        if json:
            say(to_line(check_object(report, context), ascii_only=True))
        else:
            check_lines(report, context)
        return MISMATCH if report.word == "bug" else FINE


def compare_all(checker: Checker, lines: list[PromptLine], pairs: list[Pair], notes: Notes) -> None:
    """Decode prompt after prompt both ways, adding to ``pairs``."""
    with progress(len(lines), notes) as advance:
        for line in lines:
            own: StreamArguments = {}
            if line.max_new_tokens is not None:
                own["max_new_tokens"] = line.max_new_tokens
            pairs.append(checker.compare(line.prompt, **own))
            advance(1)


def fitting(lines: list[PromptLine], decoder: Decoder, notes: Notes) -> list[PromptLine]:
    """Return the prompts as this model wants them: text through the chat template."""
    return [
        attrs.evolve(line, prompt=for_model(line.prompt, decoder.tokenizer, notes, chat=None))
        if isinstance(line.prompt, str)
        else line
        for line in lines
    ]


def stand_ins(decoder: Decoder, count: int, limits: _flags.Limits) -> list[PromptLine]:
    """Return the bundled prompts, cut to what the model can read; random ids without a tokenizer.

    They fill at most half of the context window, so that there is room to decode.
    """
    from specframe._loading.loading import demo_prompt_file  # noqa: PLC0415 (imports torch)

    engine, tokenizer = decoder.target.engine, decoder.tokenizer
    most = max(1, engine.context // 2)
    if tokenizer is None:
        draw = random.Random(limits.seed).randrange  # noqa: S311 (no secret)
        length = min(RANDOM_TOKENS, most)
        return [
            PromptLine(f"random {number}", [draw(engine.vocab_size) for _ in range(length)])
            for number in range(1, count + 1)
        ]
    lines = read_prompt_file(demo_prompt_file())[:count]
    ids = {line.id: tokenizer(line.prompt)["input_ids"] for line in lines}
    return [
        line if len(ids[line.id]) <= most else PromptLine(line.id, ids[line.id][-most:])
        for line in lines
    ]

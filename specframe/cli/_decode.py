"""``specframe decode``: its flags; one prompt to the terminal, or many from file to file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from specframe import _defaults
from specframe._errors import InputError
from specframe.cli import _flags, _prompt
from specframe.cli._display import Notes
from specframe.cli._run_file import FileJob, run_file
from specframe.cli._run_prompt import Show, run_prompt


def decode(  # noqa: PLR0913 (one parameter a flag)
    prompt: _flags.Prompt = None,
    *,
    prompt_file: _flags.PromptFile = None,
    model: _flags.Model = None,
    strategy: _flags.StrategyName = None,
    option: _flags.Pairs = None,
    draft_model: _flags.DraftModel = None,
    verifier: _flags.VerifierName = None,
    stop_policy: _flags.StopPolicyName = None,
    max_new_tokens: _flags.MaxNewTokens = 128,
    stop: _flags.StopTexts = None,
    dtype: _flags.DtypeFlag = "auto",
    device: _flags.DeviceFlag = "auto",
    exact: _flags.Exact = False,
    seed: _flags.Seed = None,
    temperature: _flags.Temperature = 0.0,
    top_k: _flags.TopK = None,
    top_p: _flags.TopP = None,
    min_p: _flags.MinP = None,
    repetition_penalty: _flags.RepetitionPenalty = None,
    chat: _flags.Chat = None,
    no_stream: _flags.NoStream = False,
    compare: _flags.Compare = False,
    json: _flags.Json = False,
    quiet: _flags.Quiet = False,
    trace: _flags.TraceFlag = None,
    prompts: _flags.PromptsFile = None,
    output: _flags.OutputFlag = None,
    batch_size: _flags.BatchSize = None,
    trust_remote_code: _flags.TrustRemoteCode = False,
    revision: _flags.Revision = None,
) -> int:
    """Decode a prompt: the text goes to stdout, statistics to stderr."""
    loading = _flags.Loading(
        model=model,
        strategy=_flags.strategy_of(strategy, draft_model),
        options=_flags.options_of(option, draft_model),
        verifier=verifier,
        stop_policy=stop_policy,
        dtype=dtype,
        device=_flags.check_device(device),
        exact=exact,
        trust_remote_code=trust_remote_code,
        revision=revision,
    )
    limits = _flags.Limits(
        max_new_tokens=max_new_tokens,
        stop=tuple(stop or ()),
        seed=seed,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
    )
    given = Given(prompt, prompt_file, prompts, output, batch_size)
    show = Show(live=not no_stream, compare=compare, json=json, chat=chat, trace=trace)
    return run(given, loading, limits, show, Notes(quiet))


@attrs.frozen
class Given:
    """Where the prompts come from: one of the first two, or both files."""

    prompt: str | None
    prompt_file: Path | None
    prompts: Path | None
    output: Path | None
    batch_size: int | None


def run(
    given: Given, loading: _flags.Loading, limits: _flags.Limits, show: Show, notes: Notes
) -> int:
    """Check what needs no model, then decode one prompt or a file of them."""
    loading.check()
    limits.check()
    if limits.temperature and loading.verifier == _defaults.VERIFIER:
        raise InputError(
            f"--verifier {loading.verifier} decodes at temperature 0 only and --temperature is "
            f"{limits.temperature}: leave it out, or name '{_defaults.SAMPLING_VERIFIER}'"
        )
    if given.prompts or given.output:
        refuse_beside_prompts(
            {
                "PROMPT": given.prompt,
                "--prompt-file": given.prompt_file,
                "--compare": show.compare,
                "--json": show.json,
                "--no-stream": not show.live,
                "--trace": show.trace,
            }
        )
        job = FileJob(*both(given.prompts, given.output), show.chat, given.batch_size)
        return run_file(job, loading, limits, notes)
    if given.batch_size is not None:
        raise InputError("--batch-size decodes the prompts of a file together: it needs --prompts")
    if show.trace is not None:
        from specframe._trace import check_path  # noqa: PLC0415 (for those who trace)

        check_path(show.trace)
    text = _prompt.read_prompt(given.prompt, given.prompt_file, notes)
    return run_prompt(text, loading, limits, show, notes)


def both(prompts: Path | None, output: Path | None) -> tuple[Path, Path]:
    """Return the two files of a run over many prompts; raise InputError when one is missing."""
    if prompts is None or output is None:
        missing, given = ("--prompts", "--output") if output else ("--output", "--prompts")
        raise InputError(f"{given} needs {missing} FILE.jsonl beside it")
    return prompts, output


def refuse_beside_prompts(given: Mapping[str, object]) -> None:
    """Raise InputError for what makes sense for one prompt only."""
    for name, value in given.items():
        if value:
            raise InputError(f"{name} cannot be given beside --prompts, which decodes a file")

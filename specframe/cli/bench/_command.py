"""``specframe bench`` and ``specframe bench compare``: their flags and exit codes."""

from __future__ import annotations

import datetime as dt
import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specframe import _defaults
from specframe._errors import InputError
from specframe.cli import _flags
from specframe.cli._display import Notes
from specframe.cli._exit_code import FINE, INTERRUPTED, MISMATCH
from specframe.cli.bench import _flags as _bench_flags
from specframe.cli.bench._progress_display import watch
from specframe.cli.bench._prompts import read_bench_prompts
from specframe.cli.bench._report import comparison_lines, outcome_lines, progress_lines
from specframe.cli.config._command import ConfiguredGroup

if TYPE_CHECKING:
    from specframe.bench import BenchPrompt, Job

USUAL = f"{_defaults.PLAIN},{_defaults.STRATEGY},{_defaults.GENERATE}"

bench = typer.Typer(cls=ConfiguredGroup, invoke_without_command=True, no_args_is_help=False)


@bench.callback()
def start(  # noqa: PLR0913 (one parameter a flag)
    context: typer.Context,
    *,
    model: _flags.Model = None,
    strategies: _bench_flags.Strategies = USUAL,
    prompts: _bench_flags.Prompts = None,
    task: _bench_flags.Tasks = None,
    option: _bench_flags.Pairs = None,
    sweep: _bench_flags.Sweeps = None,
    dtype: _flags.DtypeFlag = "auto",
    device: _flags.DeviceFlag = "auto",
    seed: _bench_flags.Seed = 0,
    repeats: _bench_flags.Repeats = 3,
    warmups: _bench_flags.Warmups = 1,
    max_new_tokens: _flags.MaxNewTokens = 128,
    temperature: _flags.Temperature = 0.0,
    batch_size: _bench_flags.BatchSize = 1,
    output: _bench_flags.Output = None,
    spec_bench_answers: _bench_flags.SpecBenchAnswers = False,
    profile: _bench_flags.Profile = False,
    resume: _bench_flags.Resume = False,
    trust_remote_code: _flags.TrustRemoteCode = False,
    revision: _flags.Revision = None,
) -> int | None:
    """Run strategies side by side on the same prompts and say which is faster, and why."""
    if context.invoked_subcommand is not None:
        return None
    if not math.isfinite(temperature):
        raise InputError(f"--temperature must be a number, got {temperature}")
    if resume and output is None:
        raise InputError("--resume continues the run in a folder: name it with --output")
    _flags.check_device(device)
    from specframe._loading.loading import Source  # noqa: PLC0415 (imports torch)
    from specframe.bench import Job, check_prompts, read_contestants  # noqa: PLC0415

    contestants = read_contestants(strategies, option or (), sweep or ())
    chosen: list[BenchPrompt] = check_prompts(read_bench_prompts(prompts), task or ())
    job = Job(
        command=["specframe", *sys.argv[1:]],
        source=Source(model, None, dtype, device, trust_remote_code, revision),
        contestants=contestants,
        prompts=chosen,
        prompts_from="bundled" if prompts is None else str(prompts),
        cut_prompts=prompts is None,
        folder=output or default_folder(),
        seed=seed,
        repeats=repeats,
        warmups=warmups,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        batch_size=batch_size,
        resume=resume,
        answers=spec_bench_answers,
        profile=profile,
    )
    return compete(job)


def compete(job: Job) -> int:
    """Run the benchmark, print what came of it, and return the exit code."""
    from specframe.bench import read_progress, run  # noqa: PLC0415 (imports torch)

    notes = Notes()
    try:
        outcome = run(job, watch(notes))
    except KeyboardInterrupt:
        if (progress := read_progress(job.folder)) is not None:
            progress_lines(progress)
        where = shlex.quote(str(job.folder))
        notes.note(f"interrupted; the same command with --output {where} --resume continues")
        return INTERRUPTED
    outcome_lines(outcome, job.folder)
    return FINE if outcome.is_sound else MISMATCH


@bench.command("compare")
def compare_folders(
    first: Annotated[Path, typer.Argument(metavar="A", help="a folder that bench has written")],
    second: Annotated[Path, typer.Argument(metavar="B", help="another one")],
) -> int:
    """Show two benchmarks side by side, and what else differs between them."""
    from specframe.bench import compare, read_results  # noqa: PLC0415 (imports torch)

    found = compare(read_results(first), read_results(second))
    comparison_lines(found, (str(first), str(second)))
    return FINE


def default_folder() -> Path:
    """Return where results go where no ``--output`` is given."""
    return Path(f"bench-{dt.datetime.now().astimezone():%Y%m%d-%H%M%S}")

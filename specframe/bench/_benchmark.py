"""A benchmark from its first line to its last file.

Ids are measured to ids, by the wall clock around ``decode`` as around ``generate``: what our loop
does between rounds counts as ``other``. Decoders get no tokenizer here, since ``generate`` makes no
text either. The stock copy that transformers needs exists only if it competes, and the memory
ledger books it, like every strategy's cache, so that a peak leaves out what the others hold.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import attrs

from specframe._files import to_line, write_atomically
from specframe._loading.loading import Source
from specframe._plugins.discovery import load_registry
from specframe._words import dtype_name
from specframe.bench._competitor import Draws
from specframe.bench._competitor_loading import LineUp, check_contestants, load_competitors
from specframe.bench._contestants import Contestant
from specframe.bench._environment import environment
from specframe.bench._journal import Journal, check_folder
from specframe.bench._judging import TOKENS, Judge, Judgements
from specframe.bench._profiles import Profile, write_profiles
from specframe.bench._prompts import BenchPrompt, Conversation, check_prompts, digest, refuse_text
from specframe.bench._records import Header, PromptSource, Results, RunSettings
from specframe.bench._results_file import RESULTS
from specframe.bench._run_order import Slot, slots
from specframe.bench._runner import Runner, Watcher
from specframe.bench._spec_bench_answers import write_answers
from specframe.bench._summary import Summaries
from specframe.bench._summary_file import write_summary

SUMMARY, ANSWERS, TRACES = "summary.csv", "answers", "trace"


@attrs.frozen(kw_only=True)
class Job:
    """Hold what was asked for.

    ``prompts_from`` names where the prompts come from; ``cut_prompts``: they may be cut to half of
    the model's context, since they were not chosen for this model.
    """

    command: list[str]
    source: Source
    contestants: Sequence[Contestant]
    prompts: Sequence[BenchPrompt]
    prompts_from: str
    cut_prompts: bool
    folder: Path
    seed: int
    repeats: int
    warmups: int
    max_new_tokens: int
    temperature: float
    batch_size: int
    resume: bool = False
    answers: bool = False
    profile: bool = False

    @property
    def draws(self) -> Draws:
        """Return how tokens are chosen."""
        return Draws(self.temperature, self.seed)


@attrs.frozen
class BenchOutcome:
    """Hold what a benchmark gave; ``is_sound`` is false where something failed or is wrong."""

    results: Results
    profiles: Sequence[Profile]
    is_sound: bool


@attrs.frozen
class Race:
    """Hold a benchmark that is ready to run: who competes, how, and in which order."""

    job: Job
    line_up: LineUp
    runner: Runner
    plan: Sequence[Slot]


def run(job: Job, watcher: Watcher) -> BenchOutcome:
    """Run a benchmark, or continue one, and write its folder.

    Raises InputError for what cannot be served, before the model is loaded wherever that can be
    told; an interruption leaves runs.jsonl, from which ``resume`` continues.
    """
    check_folder(job.folder, resume=job.resume)
    check_prompts(job.prompts)
    registry = load_registry()
    check_contestants(job.contestants, registry)
    watcher.note(f"loading {job.source.model or 'the demo model'}")
    line_up = load_competitors(job.source, job.contestants, registry, job.draws)
    if line_up.loaded.tokenizer is None:
        refuse_text(job.prompts, line_up.loaded.origin.name)
    plan = slots(
        list(line_up.competitors),
        job.prompts,
        repeats=job.repeats,
        batch_size=job.batch_size,
        seed=job.seed,
    )
    race = Race(job, line_up, _runner(job, line_up), plan)
    with Journal.open(job.folder, _header(job, line_up), plan) as journal:
        _run_all(race, journal, watcher)
    return _conclude(race, journal, watcher)


def _run_all(race: Race, journal: Journal, watcher: Watcher) -> None:
    runner, warmups = race.runner, race.job.warmups
    total = sum(len(slot.prompts) for slot in race.plan)
    if len(journal.runs) < total:
        watcher.note(f"warming up ({warmups} x {len(runner.competitors)} strategies)")
        runner.warm_up(race.plan, warmups)
    watcher.begin(journal.header.strategies, total, journal.runs)
    try:
        runner.run_all(race.plan, journal, watcher)
    finally:
        watcher.end()


def _conclude(race: Race, journal: Journal, watcher: Watcher) -> BenchOutcome:
    """Write all files, then judge the tokens and write what that changes.

    Judging takes a copy of the model in float64: no fault of it costs a file.
    """
    job = race.job
    judge = Judge(race.runner, {prompt.id: prompt for prompt in job.prompts}, job.draws)
    seen = judge.look(journal.runs)
    results = _sum_up(journal, seen)
    write_results(results, job.folder)
    if job.answers:
        write_answers(results.header, results.runs, job.folder / ANSWERS)
    profiles = _profiles(race, watcher)
    try:
        judged = judge.judge(journal.runs, watcher.judged)
    finally:
        watcher.end()
    if judged != seen:
        results = _sum_up(journal, judged)
        write_results(results, job.folder)
    return BenchOutcome(results, profiles, is_sound=_is_sound(results))


def _sum_up(journal: Journal, judgements: Judgements) -> Results:
    rows = Summaries(journal.header, journal.runs, judgements).rows()
    return Results(journal.header, now(), journal.runs, rows)


def _profiles(race: Race, watcher: Watcher) -> list[Profile]:
    """Profile every competitor, if that was asked for."""
    if not race.job.profile:
        return []
    watcher.note("profiling, outside of the runs")
    device = race.line_up.loaded.engine.device
    return write_profiles(race.runner, race.plan, race.job.folder / TRACES, device)


def _is_sound(results: Results) -> bool:
    """Tell whether nothing failed, and whether all promised tokens are known to be there.

    What could not be judged is not known.
    """
    strategies = results.header.strategies
    errors = [each.error for each in strategies] + [run.error for run in results.runs]
    promising = {each.name for each in strategies if each.guarantee == TOKENS}
    wrong = {row.strategy for row in results.summary if row.different or row.not_judged}
    return not any(errors) and not promising & wrong


def write_results(results: Results, folder: Path) -> None:
    """Write results.json, summary.csv and report.html."""
    from specframe.bench.report._page import write_report  # noqa: PLC0415 (templates, and only at the end)

    write_atomically(folder / RESULTS, to_line(results.as_dict()) + "\n")
    write_summary(results.summary, folder / SUMMARY)
    write_report(results, folder)


def _runner(job: Job, line_up: LineUp) -> Runner:
    limit = max(1, line_up.loaded.engine.context // 2) if job.cut_prompts else None
    conversation = Conversation(line_up.loaded.tokenizer, limit)
    return Runner(line_up.competitors, conversation, job.max_new_tokens, line_up.ledger)


def _header(job: Job, line_up: LineUp) -> Header:
    engine = line_up.loaded.engine
    settings = RunSettings(
        model=line_up.loaded.origin.name,
        dtype=dtype_name(engine.dtype),
        device=str(engine.device),
        seed=job.seed,
        repeats=job.repeats,
        warmups=job.warmups,
        max_new_tokens=job.max_new_tokens,
        temperature=job.temperature,
        batch_size=job.batch_size,
        prompts=PromptSource(job.prompts_from, digest(job.prompts), len(job.prompts)),
    )
    return Header(
        command=job.command,
        created=now(),
        environment=environment(engine.device),
        settings=settings,
        strategies=line_up.records,
        prompts=[prompt.record for prompt in job.prompts],
    )


def now() -> str:
    """Return the time as results have it: ISO 8601 in UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")

"""What ``specframe bench`` prints at its end: tables, and why each strategy won or lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe._words import number, percent, times
from specframe.cli._display import say
from specframe.cli._strategies import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from specframe.bench import (
        BenchComparison,
        BenchOutcome,
        Progress,
        Side,
        StrategyRecord,
        Summary,
    )

ALL = "all"
SHOWN = 4  # positions in the table; results.json has all
MEGABYTE = 1e6
HEADER = (
    "strategy",
    "tokens/s",
    "with prefill",
    "speed-up [95 %]",
    "over hf [95 %]",
    "tokens a round",
    "accepted at 1, 2, ... (n)",
    "prefill/draft/verify/other",
    "peak MB",
    "tokens as plain",
    "repeats",
)


def outcome_lines(outcome: BenchOutcome, folder: Path) -> None:
    """Print the table over all prompts, the speed-up by task, and a sentence on each strategy."""
    from specframe.bench import MEMORY_IN_WORDS  # noqa: PLC0415 (imports torch)

    results = outcome.results
    overall = [row for row in results.summary if row.task == ALL]
    about = {each.name: each for each in results.header.strategies}
    promising = {name for name, each in about.items() if each.guarantee == "tokens"}
    print_table(HEADER, [cells(row, promises=row.strategy in promising) for row in overall])
    by_task(results.summary)
    sentences(overall, about)
    for profile in outcome.profiles:
        say(f"\nwhere the time of {profile.strategy} goes\n{profile.table}")
    settings = results.header.settings
    say(f"\npeak MB: {MEMORY_IN_WORDS[settings.device.partition(':')[0]]}")
    say(
        f"{settings.model}, {settings.dtype} on {results.header.environment.device}, "
        f"{results.header.environment.threads} threads; {settings.prompts.count} prompts, "
        f"{settings.repeats} repeats, temperature {settings.temperature:g}, seed {settings.seed}; "
        f"results in {folder}"
    )


def progress_lines(progress: Progress) -> None:
    """Print the figures of an interrupted benchmark; no tokens were compared yet."""
    runs, tokens = progress.num_runs, progress.num_tokens
    overall = [row for row in progress.summary if row.task == ALL]
    rows = [(f"{runs[row.strategy]} of {progress.num_planned}", row) for row in overall]
    print_table(
        ("strategy", "runs", "tokens", *HEADER[1:]),
        [(row.strategy, done, str(tokens[row.strategy]), *cells(row)[1:]) for done, row in rows],
    )
    by_task(progress.summary)
    about = {each.name: each for each in progress.header.strategies}
    known = [row for row in overall if runs[row.strategy] or about[row.strategy].error]
    sentences(known, about)


def sentences(rows: Sequence[Summary], about: Mapping[str, StrategyRecord]) -> None:
    """Print why each strategy won or lost, or why it could not compete."""
    say("")
    for row in rows:
        say(f"{row.strategy}: {about[row.strategy].error or sentence(row)}")


def cells(row: Summary, *, promises: bool = False) -> tuple[str, ...]:
    """Return one strategy's row."""
    return (
        row.strategy,
        number(row.tokens_per_second),
        number(row.tokens_per_second_with_prefill),
        interval(row.speedup, row.speedup_low, row.speedup_high),
        interval(
            row.speedup_over_transformers,
            row.speedup_over_transformers_low,
            row.speedup_over_transformers_high,
        ),
        number(row.mean_acceptance_length, 2),
        positions(row),
        split(row.seconds),
        "n/a" if row.peak_memory is None else f"{row.peak_memory / MEGABYTE:.0f}",
        identity(row, promises=promises),
        percent(row.repeated_8_grams),
    )


def by_task(summary: Sequence[Summary]) -> None:
    """Print speed-ups by task, where there are several."""
    rows = [row for row in summary if row.task != ALL]
    tasks = list(dict.fromkeys(row.task for row in rows))
    if len(tasks) < 2:
        return
    found = {(row.strategy, row.task): row for row in rows}
    names = list(dict.fromkeys(row.strategy for row in rows))
    say("\nspeed-up over plain decoding by task (tokens a round)")
    print_table(
        ("strategy", *tasks),
        [(name, *(brief(found[name, task]) for task in tasks)) for name in names],
    )


def brief(row: Summary) -> str:
    """Return a speed-up and an acceptance length."""
    return f"{times(row.speedup)} ({number(row.mean_acceptance_length, 2)})"


def sentence(row: Summary) -> str:
    """Say why a strategy won or lost, and what went wrong."""
    from specframe.bench import differences_in_words  # noqa: PLC0415 (imports torch)

    parts = [row.verdict or "no plain decoding was run beside it"]
    if row.num_failed:
        parts.append(f"{row.num_failed} of {row.num_prompts} prompts failed")
    return "; ".join([*parts, *differences_in_words(row.differences)])


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """Return a ratio with its interval."""
    if value is None or low is None or high is None:
        return times(value)
    return f"{times(value)} [{low:.2f}, {high:.2f}]"


def positions(row: Summary) -> str:
    """Return the conditional acceptance of the first positions, each with its n."""
    shown = [
        f"{level.accepted / level.reached:.2f} ({level.reached})"
        for level in row.acceptance_by_position[:SHOWN]
        if level.reached
    ]
    return ", ".join(shown) + (", ..." if len(row.acceptance_by_position) > SHOWN else "")


def split(seconds: Mapping[str, float | None]) -> str:
    """Return the shares of the time by part."""
    parts = [seconds.get(part) for part in ("prefill", "draft", "verify", "other")]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or not sum(known):
        return "n/a"
    return "/".join(f"{part / sum(known):.0%}" for part in known)


def identity(row: Summary, *, promises: bool = False) -> str:
    """Return how many prompts have plain decoding's tokens; loud where all were promised."""
    if row.identical is None:
        return "n/a"
    counts = {"near ties": row.near_ties, "not judged": row.not_judged}
    compared = row.identical + (row.different or 0) + sum(each or 0 for each in counts.values())
    said = [f"{row.identical}/{compared}", *(f"{n} {word}" for word, n in counts.items() if n)]
    return ", ".join([*said, *(["DIFFERENT"] if row.different and promises else [])])


def comparison_lines(found: BenchComparison, names: tuple[str, str]) -> None:
    """Print two benchmarks side by side, then what else differs."""
    rows = [
        (pair.strategy, name, *compared(side))
        for pair in found.pairs
        for name, side in zip(names, (pair.first, pair.second), strict=True)
    ]
    print_table(("strategy", "of", *HEADER[1:]), rows)
    if found.differences:
        say("\nbeware, these differ too:")
        print_table(("what", *names), list(found.differences))


def compared(side: Side | None) -> tuple[str, ...]:
    """Return one side of a comparison."""
    if side is None:
        return "did not compete", *[""] * (len(HEADER) - 2)
    return cells(side.row, promises=side.record.guarantee == "tokens")[1:]

"""From runs to one row for each strategy and task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from specframe import _defaults
from specframe._results.metrics import ratio
from specframe.bench._explanation import (
    ROUND_PARTS,
    Balance,
    explain,
    explain_without_parts,
    reservation,
)
from specframe.bench._records import (
    ALL,
    DIFFERENT,
    NEAR_TIE,
    NOT_JUDGED,
    SAME,
    TIME_PARTS,
    BenchRound,
    Header,
    Judgement,
    PromptDifference,
    PromptRecord,
    Run,
    StrategyRecord,
    Summary,
    Turn,
)
from specframe.bench._statistics import (
    Ratio,
    added_levels,
    batches,
    best_rates,
    longest,
    median_ratio,
    ratios,
    repeated_grams,
)

Judgements = Mapping[str, Mapping[str, Judgement]]  # by strategy and prompt


@attrs.frozen
class Summaries:
    """Sum up the runs of a benchmark."""

    header: Header
    runs: Sequence[Run]
    judgements: Judgements

    def rows(self) -> list[Summary]:
        """Return a row for each strategy over all prompts, then one for each of its tasks."""
        tasks = list(dict.fromkeys(prompt.task for prompt in self.header.prompts))
        return [
            self.row(strategy, task)
            for strategy in self.header.strategies
            for task in (ALL, *tasks)
        ]

    def row(self, strategy: StrategyRecord, task: str) -> Summary:
        """Sum up one strategy on one task."""
        prompts = [each for each in self.header.prompts if task in (ALL, each.task)]
        runs = self.of(strategy.name, task)
        failed = {run.prompt for run in runs if run.error is not None}
        found = Summary(
            strategy.name,
            task,
            num_prompts=len(prompts),
            num_failed=len(prompts) if strategy.error else len(failed),
        )
        good = [run for run in runs if run.error is None]
        if not good:
            return found
        found = attrs.evolve(
            found,
            **rates(good),
            **self.speedups(good, task),
            **acceptance(good),
            **self.identity(strategy.name, prompts),
            **self.break_even(strategy, good, task),
        )
        return attrs.evolve(found, verdict=with_reservation(found))

    def of(self, strategy: str | None, task: str) -> list[Run]:
        """Return the runs of a strategy on a task."""
        prompts = {each.id for each in self.header.prompts if task in (ALL, each.task)}
        return [run for run in self.runs if run.strategy == strategy and run.prompt in prompts]

    def baseline(self, strategy: str) -> str | None:
        """Return the name under which a yardstick competes, or None."""
        names = [each.name for each in self.header.strategies if each.strategy == strategy]
        return names[0] if names else None

    def good(self, strategy: str, task: str) -> list[Run]:
        """Return the runs of a yardstick that did not fail."""
        runs = self.of(self.baseline(strategy), task)
        return [run for run in runs if run.error is None]

    def speedups(self, runs: Sequence[Run], task: str) -> dict[str, Any]:
        """Compare each prompt's fastest run with those of the yardsticks."""
        ours, seed = best_rates(runs), self.header.settings.seed
        over_plain = ratios(ours, best_rates(self.good(_defaults.PLAIN, task)))
        over_theirs = ratios(ours, best_rates(self.good(_defaults.GENERATE, task)))
        return {
            **_named("speedup", median_ratio(list(over_plain.values()), seed)),
            **_named("speedup_over_transformers", median_ratio(list(over_theirs.values()), seed)),
            "speedup_by_prompt": over_plain,
        }

    def identity(self, strategy: str, prompts: Sequence[PromptRecord]) -> dict[str, Any]:
        """Count and name the differences from plain decoding's tokens."""
        if strategy not in self.judgements:
            return {}
        said = self.judgements[strategy]
        own = [(each.id, said[str(each.id)]) for each in prompts if str(each.id) in said]
        words = Counter(each.word for _, each in own)
        return {
            "identical": words[SAME],
            "near_ties": words[NEAR_TIE],
            "different": words[DIFFERENT],
            "not_judged": words[NOT_JUDGED],
            "differences": [
                PromptDifference(prompt, each.at, each.word, each.why)
                for prompt, each in own
                if each.word != SAME and each.at is not None
            ],
        }

    def break_even(
        self, strategy: StrategyRecord, runs: Sequence[Run], task: str
    ) -> dict[str, Any]:
        """Compare a round's costs with what it brings, in tokens of plain decoding."""
        if strategy.strategy == _defaults.PLAIN:
            return {"verdict": "the yardstick: every token takes one pass"}
        plain = _a_round(self.good(_defaults.PLAIN, task))
        token, steps = sum(plain.values()), _steps(runs)
        if not token or not steps:
            return {}
        brings = sum(steps) / len(steps)
        if strategy.kind == "transformers":
            leaders = _leaders(runs)
            rounds = sum(len(turn.steps) for turn in leaders)
            needed = sum(turn.decoding_seconds for turn in leaders) / rounds / token
            said = explain_without_parts(needed, brings)
            return {"break_even_acceptance_length": needed, "verdict": said}
        balance = Balance(
            {part: spent / token for part, spent in _a_round(runs).items()},
            {part: spent / token for part, spent in plain.items()},
            brings,
            acceptance_rate(_rounds(runs)),
        )
        return {"break_even_acceptance_length": balance.needed, "verdict": explain(balance)}


def with_reservation(row: Summary) -> str | None:
    """Return the verdict, and a warning where the speed-up beside it disagrees."""
    needed, brings = row.break_even_acceptance_length, row.mean_acceptance_length
    if row.verdict is None or row.speedup is None or not needed or not brings:
        return row.verdict
    return row.verdict + reservation(brings / needed, row.speedup)


def rates(runs: Sequence[Run]) -> dict[str, Any]:
    """Return rates, seconds and memory; rows that ran together share their seconds."""
    leaders = _leaders(runs)
    turns = _turns(runs)
    after_prefill = sum(len(turn.token_ids) - turn.first_tokens for turn in turns)
    peaks = [run.peak_memory for run in runs if run.peak_memory is not None]
    seconds: dict[str, float | None] = {}
    for part in TIME_PARTS:
        spent = [getattr(turn.seconds, part) for turn in leaders]
        seconds[part] = None if None in spent else sum(spent)
    decoding = sum(turn.decoding_seconds for turn in leaders)
    return {
        "tokens_per_second": ratio(after_prefill, decoding) if after_prefill else None,
        "tokens_per_second_with_prefill": ratio(
            sum(len(turn.token_ids) for turn in turns),
            sum(turn.seconds.total for turn in leaders),
        ),
        "seconds": seconds,
        "peak_memory": max(peaks, default=None),
    }


def acceptance(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what was drafted, accepted and repeated."""
    rounds, steps = _rounds(runs), _steps(runs)
    counts = Counter(round.accepted for round in rounds)
    first = {run.prompt: run for run in reversed(runs)}
    return {
        "mean_acceptance_length": ratio(sum(steps), len(steps)),
        "draft_acceptance_rate": acceptance_rate(rounds),
        "acceptance_histogram": [counts[k] for k in range(max(counts, default=-1) + 1)],
        "acceptance_by_position": added_levels(_turns(runs)),
        "repeated_8_grams": repeated_grams(turn.token_ids for turn in _turns(first.values())),
    }


def acceptance_rate(rounds: Sequence[BenchRound]) -> float | None:
    """Return accepted by drafted tokens."""
    return ratio(sum(each.accepted for each in rounds), sum(each.drafted for each in rounds))


def _leaders(runs: Sequence[Run]) -> list[Turn]:
    """Return the turns whose seconds count: of rows that ran together, the longest."""
    return [turn for batch in batches(runs) for turn in longest(batch)]


def _a_round(runs: Sequence[Run]) -> dict[str, float]:
    """Return the seconds of a round by part; rows that ran together share a round."""
    leaders = _leaders(runs)
    steps = [step for turn in leaders for step in turn.steps]
    if not steps:
        return {}
    return {
        part: sum(getattr(turn.seconds, part) or 0.0 for turn in leaders) / len(steps)
        for part in ROUND_PARTS
    }


def _named(name: str, found: Ratio) -> dict[str, float | None]:
    return {name: found.median, f"{name}_low": found.low, f"{name}_high": found.high}


def _turns(runs: Any) -> list[Turn]:
    return [turn for run in runs for turn in run.turns]


def _rounds(runs: Sequence[Run]) -> list[BenchRound]:
    return [round for turn in _turns(runs) for round in turn.rounds or ()]


def _steps(runs: Sequence[Run]) -> list[int]:
    return [step for turn in _turns(runs) for step in turn.steps]

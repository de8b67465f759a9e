"""What a benchmark writes down: the values in runs.jsonl and results.json, schema 2.

docs/benchmark-format.md says what each of them means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import attrs

SCHEMA = 2
ALL = "all"  # the task that stands for all prompts together
TIME_PARTS = ("prefill", "draft", "verify", "other")

Kind = Literal["specframe", "transformers"]
Word = Literal["different", "not judged", "near tie"]

DIFFERENT: Final = "different"
NOT_JUDGED: Final = "not judged"
NEAR_TIE: Final = "near tie"
SAME: Final = "identical"
WORST_FIRST = (DIFFERENT, NOT_JUDGED, NEAR_TIE, SAME)


class BenchRound(NamedTuple):
    """Hold one round of one row: counts of tokens, then seconds by part."""

    drafted: int
    accepted: int
    committed: int
    draft: float
    verify: float
    other: float


def as_record(value: Any) -> Any:
    """Return a value as JSON holds it: objects, lists and what is neither."""
    if attrs.has(type(value)):
        names = [field.name for field in attrs.fields(type(value))]
        return {name: as_record(getattr(value, name)) for name in names}
    if isinstance(value, list | tuple):
        return [as_record(item) for item in value]
    if isinstance(value, dict):
        return {key: as_record(item) for key, item in value.items()}
    return value


@attrs.frozen
class Environment:
    """Name the machine and the software that a result depends on."""

    platform: str
    machine: str
    processor: str
    cores: int
    threads: int
    device: str
    python: str
    versions: dict[str, str | None]
    git_revision: str | None


@attrs.frozen
class PromptSource:
    """Name the prompts: where they are from, what they are, how many."""

    source: str
    sha256: str
    count: int


@attrs.frozen
class RunSettings:
    """Hold what every strategy of a benchmark shares."""

    model: str
    dtype: str
    device: str
    seed: int
    repeats: int
    warmups: int
    max_new_tokens: int
    temperature: float
    batch_size: int
    prompts: PromptSource


@attrs.frozen
class StrategyRecord:
    """Describe one strategy; ``error`` says why it could not be loaded.

    ``guarantee`` is what its verifier promises at this temperature: tokens, distribution or none.
    """

    name: str
    kind: Kind
    strategy: str
    options: dict[str, Any]
    verifier: str | None
    stop_policy: str | None
    guarantee: str | None
    state: str
    error: str | None = None


@attrs.frozen
class PromptRecord:
    """Describe one prompt."""

    id: str | int
    task: str
    num_turns: int


@attrs.frozen
class Level:
    """Count how often a level of the draft was reached, and accepted."""

    position: int
    reached: int
    accepted: int


@attrs.frozen
class Seconds:
    """Split the seconds of a turn; transformers tells only the total and the prefill."""

    total: float
    prefill: float | None
    draft: float | None = None
    verify: float | None = None
    other: float | None = None


@attrs.frozen
class Turn:
    """Hold what one turn of one prompt gave."""

    num_prompt_tokens: int
    token_ids: list[int]
    text: str | None
    finish_reason: str | None
    seconds: Seconds
    rounds: list[BenchRound] | None = None
    by_position: list[Level] | None = None
    chunks: list[int] | None = None

    @property
    def first_tokens(self) -> int:
        """Return how many tokens came with the prefill."""
        return self.chunks[0] if self.chunks else min(1, len(self.token_ids))

    @property
    def steps(self) -> list[int]:
        """Return how many tokens each step after the prefill brought."""
        if self.rounds is not None:
            return [round.committed for round in self.rounds]
        return (self.chunks or [])[1:]

    @property
    def decoding_seconds(self) -> float:
        """Return the seconds after the prefill."""
        return self.seconds.total - (self.seconds.prefill or 0.0)


@attrs.frozen
class Run:
    """Hold one strategy's decoding of one prompt, or why it failed.

    ``batch`` numbers the prompts that were decoded together, None where each ran by itself.
    """

    strategy: str
    prompt: str | int
    repeat: int
    order: int
    turns: list[Turn] = attrs.field(factory=list)
    error: str | None = None
    peak_memory: int | None = None
    batch: int | None = None

    @property
    def key(self) -> tuple[str, str | int, int]:
        """Return what tells runs apart."""
        return self.strategy, self.prompt, self.repeat


@attrs.frozen
class Judgement:
    """Say how one prompt's tokens compare with plain decoding's, the worst of its repeats.

    ``at`` is the first new token that differs, counted over all turns; ``why`` gives the reason for
    the word. Both are empty where the tokens are identical.
    """

    word: Word | Literal["identical"]
    at: int | None = None
    why: str = ""


IDENTICAL = Judgement(SAME)


@attrs.frozen
class PromptDifference:
    """Name a prompt whose tokens differ, where, and what that amounts to."""

    prompt: str | int
    position: int
    word: Word
    why: str


@attrs.frozen
class Summary:
    """Sum up one strategy on one task."""

    strategy: str
    task: str
    num_prompts: int
    num_failed: int
    tokens_per_second: float | None = None
    tokens_per_second_with_prefill: float | None = None
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None
    speedup_over_transformers: float | None = None
    speedup_over_transformers_low: float | None = None
    speedup_over_transformers_high: float | None = None
    speedup_by_prompt: dict[str, float] = attrs.field(factory=dict)
    mean_acceptance_length: float | None = None
    draft_acceptance_rate: float | None = None
    acceptance_histogram: list[int] = attrs.field(factory=list)
    acceptance_by_position: list[Level] = attrs.field(factory=list)
    seconds: dict[str, float | None] = attrs.field(factory=dict)
    peak_memory: int | None = None
    identical: int | None = None
    near_ties: int | None = None
    different: int | None = None
    not_judged: int | None = None
    differences: list[PromptDifference] = attrs.field(factory=list)
    repeated_8_grams: float | None = None
    break_even_acceptance_length: float | None = None
    verdict: str | None = None


@attrs.frozen
class Header:
    """Hold what is known before the first run."""

    command: list[str]
    created: str
    environment: Environment
    settings: RunSettings
    strategies: list[StrategyRecord]
    prompts: list[PromptRecord]
    schema: int = SCHEMA


@attrs.frozen
class Results:
    """Hold a finished benchmark."""

    header: Header
    finished: str
    runs: Sequence[Run]
    summary: Sequence[Summary]

    def as_dict(self) -> dict[str, Any]:
        """Return the content of results.json."""
        return {
            **as_record(self.header),
            "finished": self.finished,
            "runs": [as_record(run) for run in self.runs],
            "summary": [as_record(row) for row in self.summary],
        }

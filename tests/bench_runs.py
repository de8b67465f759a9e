"""Runs of a benchmark that nobody decoded, for tests of what is made from them."""

from __future__ import annotations

from hypothesis import strategies as st

from specframe._results.metrics import measure
from specframe._results.row_round import RowRound
from specframe.bench._records import (
    BenchRound,
    Environment,
    Header,
    Level,
    PromptRecord,
    PromptSource,
    Run,
    RunSettings,
    Seconds,
    StrategyRecord,
    Turn,
)

PLAIN, FAST, THEIRS = "none", "fast", "hf"


def strategy(name, kind="specframe", **changes):
    values = {"strategy": name, "options": {}, "verifier": "greedy", "stop_policy": "fixed"}
    values["guarantee"] = "tokens" if kind == "specframe" else None

    return StrategyRecord(name=name, kind=kind, state="reset", **(values | changes))


def header(prompts, strategies, **settings):
    values = {
        "model": "tiny",
        "dtype": "float32",
        "device": "cpu",
        "seed": 0,
        "repeats": 1,
        "warmups": 0,
        "max_new_tokens": 8,
        "temperature": 0.0,
        "batch_size": 1,
        "prompts": PromptSource("bundled", "0", len(prompts)),
    }
    return Header(
        command=["specframe", "bench"],
        created="2026-11-21T10:00:00+00:00",
        environment=Environment("Linux", "x", "y", 2, 1, "cpu", "3.11", {"torch": "2"}, None),
        settings=RunSettings(**(values | settings)),
        strategies=strategies,
        prompts=[PromptRecord(name, task, 1) for name, task in prompts],
    )


def turn(rounds, *, seconds=0.01, tokens=None):
    """Return a turn of ``rounds``: how many were drafted and how many of them accepted."""
    row_rounds = [
        RowRound(
            draft_tokens=list(range(drafted)),
            draft_parents=list(range(-1, drafted - 1)),
            draft_confidences=None,
            target_tokens=[],
            accepted=accepted,
            committed=[0] * (accepted + 1),
            finish_reason=None,
            seconds={"draft": seconds, "verify": seconds, "other": seconds},
        )
        for drafted, accepted in rounds
    ]
    count = 1 + sum(accepted + 1 for _, accepted in rounds)
    metrics = measure(3, count, row_rounds, {"prefill": seconds})
    spent = metrics.seconds
    return Turn(
        num_prompt_tokens=3,
        token_ids=list(range(count)) if tokens is None else tokens,
        text="text",
        finish_reason="length",
        seconds=Seconds(**spent),
        rounds=[
            BenchRound(drafted, accepted, accepted + 1, seconds, seconds, seconds)
            for drafted, accepted in rounds
        ],
        by_position=[Level(**level) for level in metrics.acceptance_by_position],
    )


def run(name, prompt, turns, *, repeat=0, order=0, **changes):
    return Run(name, prompt, repeat, order, turns, **changes)


rounds = st.lists(
    st.integers(0, 5).flatmap(lambda drafted: st.tuples(st.just(drafted), st.integers(0, drafted))),
    max_size=6,
)

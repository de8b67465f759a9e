"""specframe's own strategies as competitors: all on one copy of the weights."""

from __future__ import annotations

import time

import attrs

from specframe._assembly.assembly import assemble
from specframe._decoder.decoder import Decoder
from specframe._loading.loading import Loaded
from specframe._plugins.registry import Registry
from specframe._results.result import Result
from specframe.bench._competitor import Draws, wait_for
from specframe.bench._contestants import Contestant
from specframe.bench._records import BenchRound, Level, Seconds, StrategyRecord, Turn

WEIGHTS = "weights of specframe"  # their owner in the memory ledger


class SpecframeCompetitor:
    """Decode with a specframe strategy, on its own engine over shared weights."""

    def __init__(
        self, contestant: Contestant, loaded: Loaded, registry: Registry, draws: Draws
    ) -> None:
        """Prepare the drafter; raises SpecframeError where it does not fit the model."""
        parts = assemble(
            registry,
            contestant.strategy,
            contestant.verifier,
            contestant.stop_policy,
            dict(contestant.options),
        )
        # Without a tokenizer no time goes into text: ids in, ids out, as with transformers.
        own = attrs.evolve(loaded, engine=loaded.engine.twin(), tokenizer=None)
        self._decoder = Decoder(own, parts)
        self._draws = draws
        setup = self._decoder.setup_at(draws.temperature)
        self.owners = frozenset({WEIGHTS, contestant.name})
        learns = parts.drafter.capabilities.learns
        self.record = StrategyRecord(
            name=contestant.name,
            kind="specframe",
            strategy=contestant.strategy,
            options=setup.options,
            verifier=setup.verifier,
            stop_policy=setup.stop_policy,
            guarantee=setup.guarantee,
            state="drafter and stop policy are reset before each run"
            + (": what the drafter learns stays within one prompt" if learns else ""),
        )

    @property
    def decoder(self) -> Decoder:
        """Return the decoder, for those who judge or profile it."""
        return self._decoder

    def reset(self) -> None:
        """Forget what outlives a sequence."""
        self._decoder.reset()

    def decode(self, prompts: list[list[int]], budgets: list[int]) -> list[Turn]:
        """Decode prompts together."""
        start = time.perf_counter()
        results: list[Result] = self._decoder.decode(
            prompts,
            max_new_tokens=budgets,
            seed=self._draws.seed,
            temperature=self._draws.temperature,
            batch_size=len(prompts),
        )
        wait_for(self._decoder.target.engine.device)
        wall = time.perf_counter() - start
        booked = max(result.metrics.seconds["total"] for result in results)
        return [turn_of(result, around=max(0.0, wall - booked)) for result in results]


def turn_of(result: Result, *, around: float) -> Turn:
    """Return a result as a turn; ``around`` are seconds outside of all rounds."""
    metrics = result.metrics
    seconds = metrics.seconds
    return Turn(
        num_prompt_tokens=metrics.num_prompt_tokens,
        token_ids=result.token_ids,
        text=None,
        finish_reason=result.finish_reason,
        seconds=Seconds(
            total=seconds["total"] + around,
            prefill=seconds["prefill"],
            draft=seconds["draft"],
            verify=seconds["verify"],
            other=seconds["other"] + around,
        ),
        rounds=_rounds(result),
        by_position=[Level(**level) for level in metrics.acceptance_by_position],
    )


def _rounds(result: Result) -> list[BenchRound]:
    return [
        BenchRound(
            len(round.draft_tokens),
            round.accepted,
            len(round.committed),
            round.seconds.get("draft", 0.0),
            round.seconds.get("verify", 0.0),
            round.seconds.get("other", 0.0),
        )
        for round in result.rounds
    ]

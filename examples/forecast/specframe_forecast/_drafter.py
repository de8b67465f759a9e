"""Draft from forecasts of the target's last hidden state: no layer runs, no cache is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from specframe import (
    Capabilities,
    Captured,
    Commit,
    Draft,
    Drafter,
    Law,
    Needs,
    Nodes,
    Rows,
    Sampler,
    Scores,
    StopPolicy,
    Target,
    grow_chain,
)
from specframe_forecast._map import Forecast, load_forecast
from specframe_forecast._options import ForecastOptions


class ForecastDrafter(Drafter):
    """Draft a chain per row: forecast the state behind a token, let the target's head read it.

    The first forecast of a round starts from the state that the root was chosen from, which the
    prefill or the verification before has computed; every other one from the forecast above it.
    """

    capabilities = Capabilities(
        sampling=True, shows=frozenset({"confidence", "probs", "entropy", "hidden"})
    )
    needs = Needs(normed=True, prompt=True)
    _states: Float[Tensor, "batch hidden"]

    def __init__(
        self, options: ForecastOptions, make: Callable[[Target], Forecast] | None = None
    ) -> None:
        """Note the options; ``prepare`` reads the weights, or has them made for the target."""
        self._options = options
        self._make = make
        self.most_levels = options.steps

    @classmethod
    def for_testing(cls, options: object | None = None) -> Self:
        """Return a drafter with a random map of the target's width."""
        assert options is None or isinstance(options, ForecastOptions)
        return cls(options or ForecastOptions(weights=Path("none")), random_forecast)

    def prepare(self, target: Target) -> None:
        """Read the map, in the target's dtype and on its device."""
        engine = target.engine
        make = self._make or self._read
        self._forecast = make(target).to(torch.empty(0, dtype=engine.dtype, device=engine.device))

    def stop_settings(self) -> Mapping[str, object]:
        """Return the threshold and the number of steps."""
        return {"threshold": self._options.threshold, "steps": self.most_levels}

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        """Take the state behind each prompt's last token: the root was chosen from it."""
        self._target = target
        self._take(captured, [row.prompt_length - 1 for row in rows.active])

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Draft token by token until the stop policy or the room ends it in every row."""
        state = self._states

        def look(nodes: Nodes) -> tuple[Tensor, Tensor]:
            nonlocal state
            state = self._forecast(state, self._target.embed(nodes.tokens)[:, 0])
            return self._target.logits(state[:, None])[:, 0], state

        tree = self._target.tree(rows)
        grow_chain(tree, rows, stop, sampler, look)
        return tree.draft(Law.IID if sampler.wants_q else Law.DETERMINISTIC)

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        """Take the state behind the last accepted node: the next root was chosen from it."""
        self._take(scores.captured, [path[-1] if path else 0 for path in commit.path_lists])

    def keep(self, kept: list[int]) -> None:
        """Go on with the rows ``kept`` alone."""
        self._states = self._states[kept]

    def _read(self, target: Target) -> Forecast:
        return load_forecast(self._options.weights, target.engine.hidden_size)

    def _take(self, captured: Captured, places: list[int]) -> None:
        """Keep one captured state of each row."""
        assert captured.normed is not None  # ``needs`` asked for it
        self._states = captured.normed[range(len(places)), places]


def random_forecast(target: Target) -> Forecast:
    """Return a map that errs often, the same one each time."""
    width = target.engine.hidden_size
    generator = torch.Generator().manual_seed(0)
    shapes = ((width, width), (width, width), (width,))
    return Forecast(*(torch.randn(shape, generator=generator) for shape in shapes))

"""A watch, under SPECFRAME_DEBUG=1, on what drafters must leave alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from specframe._contracts.drafter import Drafter
from specframe._debug import is_debugging
from specframe._errors import PluginError
from specframe._exact.exact_engine import ExactEngine

if TYPE_CHECKING:
    from torch import Tensor

    from specframe._contracts.stop_policy import StopPolicy
    from specframe._engine.engine import Engine
    from specframe._round.draft import Draft
    from specframe._round.rows import Rows
    from specframe._round.scores import Captured, Scores
    from specframe._round.verdict import Commit
    from specframe._sampling.sampler import Sampler
    from specframe._target.target import Target


def watched(drafter: Drafter) -> Drafter:
    """Return the drafter; under SPECFRAME_DEBUG=1, with a watch on it."""
    return WatchedDrafter(drafter) if is_debugging() else drafter


class WatchedDrafter(Drafter):
    """Call a drafter, and compare what it must leave alone before and after.

    That is the keys and values of committed tokens in the target's cache. Reading the whole cache
    each round is slow, so it is done on request alone. ``discard`` needs no watch of its own: it is
    called within a composition's ``propose``.
    """

    def __init__(self, drafter: Drafter) -> None:
        """Watch a prepared drafter."""
        self._drafter = drafter
        self.capabilities = drafter.capabilities
        self.needs = drafter.needs
        self.most_levels = drafter.most_levels

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        """Begin a decode."""
        self._engine, self._rows = target.engine, rows
        with self._watched(rows, "start"):
            self._drafter.start(target, rows, captured)

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Return the drafter's draft."""
        with self._watched(rows, "propose"):
            return self._drafter.propose(rows, stop, sampler)

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        """Show the drafter a commit."""
        with self._watched(rows, "update"):
            self._drafter.update(rows, draft, scores, commit)

    def keep(self, kept: list[int]) -> None:
        """Continue with the rows ``kept`` alone."""
        with self._watched(self._rows, "keep"):  # the target has dropped the others by now
            self._drafter.keep(kept)

    @contextmanager
    def _watched(self, rows: Rows, method: str) -> Iterator[None]:
        states = self._states(rows)
        yield
        for (place, layer, old), (_, _, new) in zip(states, self._states(rows), strict=True):
            if not bool((old == new).all()):
                raise self._fault(
                    f"wrote to the target's cache, over committed tokens of row {place} in layer "
                    f"{layer}: only a TreeBuilder's nodes may be written there",
                    method,
                )

    def _fault(self, what: str, method: str) -> PluginError:
        return PluginError(f"{method} {what}", part=self._drafter, method=method)

    def _states(self, rows: Rows) -> list[tuple[int, int, Tensor]]:
        """Return copies of all committed keys and values, by row and layer."""
        return [
            (place, layer, part.clone())
            for layer in range(self._engine.num_layers)
            for place, length in enumerate(rows.lengths)
            for cache, at in [_cache_of(self._engine, place)]
            if hasattr(cache, "read")  # another engine may keep something else
            for part in cache.read(layer, at, list(range(length - 1)))
        ]


def _cache_of(engine: Engine, place: int) -> tuple[Any, int]:
    """Return the cache that holds a row of the batch, and the row's place there."""
    if isinstance(engine, ExactEngine):  # it has one for each row
        return _cache_of(engine.row(place), 0)
    return getattr(engine, "cache", None), place

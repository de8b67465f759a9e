"""Rows for a decode that a test begins by hand."""

from __future__ import annotations

from collections.abc import Sequence

from specframe import Row, Rows, Stops


def make_rows(
    prompts: Sequence[Sequence[int]],
    stops: Stops | Sequence[Stops],
    seeds: int | Sequence[int] = 0,
) -> Rows:
    """Return rows with the given prompts; stops and seeds are one for all, or one for each prompt.

    Prompts are token ids. Raises no error of specframe's; ValueError for other counts.
    """
    many = [stops] * len(prompts) if isinstance(stops, Stops) else stops
    numbers = [seeds] * len(prompts) if isinstance(seeds, int) else seeds
    return Rows(
        [
            Row(index, len(prompt), list(prompt), stop, seed)
            for index, (prompt, stop, seed) in enumerate(zip(prompts, many, numbers, strict=True))
        ]
    )

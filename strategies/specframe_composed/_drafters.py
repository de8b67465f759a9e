"""The core's composed drafters, made from names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from specframe import (
    Drafter,
    FirstDrafter,
    LongestDrafter,
    build_drafter,
    named_parts,
)
from specframe_composed._options import FirstOptions, LongestOptions


class First(FirstDrafter):
    """Take each row's draft from the first of the named drafters that proposes something."""

    def __init__(self, options: FirstOptions, *, for_testing: bool = False) -> None:
        """Build the drafters that ``options`` names."""
        super().__init__(parts_of(options.drafters, for_testing=for_testing))

    @classmethod
    def for_testing(cls, options: object | None = None) -> Self:
        """Return one of drafters that fit any target."""
        assert options is None or isinstance(options, FirstOptions)
        return cls(options or FirstOptions(), for_testing=True)

    def stop_settings(self) -> Mapping[str, object]:
        """Return the parts' values, with room for the part that drafts furthest."""
        return with_most_steps(super().stop_settings(), self.parts)


class Longest(LongestDrafter):
    """Take each row's draft from the named drafter that proposes most."""

    def __init__(self, options: LongestOptions, *, for_testing: bool = False) -> None:
        """Build the drafters that ``options`` names."""
        super().__init__(parts_of(options.drafters, for_testing=for_testing))

    @classmethod
    def for_testing(cls, options: object | None = None) -> Self:
        """Return one of drafters that fit any target."""
        assert options is None or isinstance(options, LongestOptions)
        return cls(options or LongestOptions(), for_testing=True)

    def stop_settings(self) -> Mapping[str, object]:
        """Return the parts' values, with room for the part that drafts furthest."""
        return with_most_steps(super().stop_settings(), self.parts)


def parts_of(names: str, *, for_testing: bool) -> list[Drafter]:
    """Return new drafters for names with options, joined by "+"."""
    return [
        build_drafter(part.name, part.options, for_testing=for_testing)
        for part in named_parts(names)
    ]


def with_most_steps(
    settings: Mapping[str, object], parts: tuple[Drafter, ...]
) -> dict[str, object]:
    """Return ``settings`` with the largest ``steps`` of the parts; each part keeps to its own."""
    steps = [part.stop_settings().get("steps") for part in parts]
    most = [count for count in steps if isinstance(count, int)]
    return {**settings, **({"steps": max(most)} if most else {})}

"""The core's composed stop policies, made from names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specframe import AllPolicy, AnyPolicy, StopPolicy, build_stop_policy, named_parts

if TYPE_CHECKING:
    from specframe_stops._options import AllOptions, AnyOptions


class AnyNamed(AnyPolicy):
    """End drafting where the first of the named policies would."""

    def __init__(self, options: AnyOptions) -> None:
        """Build the policies that ``options`` names."""
        super().__init__(policies_of(options))


class AllNamed(AllPolicy):
    """End drafting where the last of the named policies would."""

    def __init__(self, options: AllOptions) -> None:
        """Build the policies that ``options`` names."""
        super().__init__(policies_of(options))


def policies_of(options: AnyOptions | AllOptions) -> list[StopPolicy]:
    """Return new policies; ``steps`` and ``threshold`` are for those that do not set theirs."""
    given = {"steps": options.steps, "threshold": options.threshold}
    suggested = {key: value for key, value in given.items() if value is not None}
    return [
        build_stop_policy(part.name, part.options, suggested=suggested)
        for part in named_parts(options.policies)
    ]

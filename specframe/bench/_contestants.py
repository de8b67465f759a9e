"""Which strategies compete: names with options, as they are typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from specframe._assembly.build_by_name import NamedPart
from specframe._errors import InputError, OptionError

VERIFIER, STOP_POLICY = "verifier", "stop-policy"  # keys that name a part, not an option


@attrs.frozen
class Contestant:
    """Hold one strategy as it was typed, and what that says.

    ``options`` are the strategy's, those of ``-o`` included; ``name`` has only those that belong
    to it by name.
    """

    name: str
    strategy: str
    options: Mapping[str, str] = attrs.field(factory=dict)
    verifier: str | None = None
    stop_policy: str | None = None


def read_contestants(
    strategies: str, options: Sequence[str] = (), sweeps: Sequence[str] = ()
) -> list[Contestant]:
    """Return the contestants that ``--strategies``, ``-o`` and ``--sweep`` name, in their order.

    Raises InputError for a name that is empty or given twice, OptionError for an option that is no
    ``STRATEGY.KEY=VALUE`` or that belongs to no contestant.
    """
    typed = [name.strip() for name in strategies.split(",")]
    names = [*typed, *(name for sweep in sweeps for name in swept(sweep))]
    if "" in names:
        raise InputError(f"--strategies '{strategies}' has an empty name: list names with commas")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"strategy '{twice[0]}' is listed twice: list it once")
    contestants = [parse_contestant(name) for name in names]
    return with_options(contestants, [parse_option(option) for option in options])


def parse_contestant(name: str) -> Contestant:
    """Read ``strategy:key=value:key=value``."""
    part = NamedPart.read(name)
    options = dict(part.options)
    parts_named = {key: options.pop(key, None) for key in (VERIFIER, STOP_POLICY)}
    return Contestant(name, part.name, options, parts_named[VERIFIER], parts_named[STOP_POLICY])


def parse_option(option: str) -> tuple[str, str, str]:
    """Read ``STRATEGY.KEY=VALUE``."""
    left, equals, value = option.partition("=")
    strategy, dot, key = left.partition(".")
    if not (strategy and dot and key and equals):
        raise OptionError(
            f"-o takes STRATEGY.KEY=VALUE, such as -o kangaroo.steps=4; got '{option}'"
        )
    return strategy, key, value


def with_options(
    contestants: Sequence[Contestant], options: Sequence[tuple[str, str, str]]
) -> list[Contestant]:
    """Give each option to the contestants of its strategy that do not set it by name."""
    for strategy, key, _ in options:
        if all(each.strategy != strategy for each in contestants):
            raise OptionError(
                f"-o {strategy}.{key}: '{strategy}' is not among the strategies "
                f"({', '.join(each.name for each in contestants)})"
            )
    return [_with_defaults(each, _of(each.strategy, options)) for each in contestants]


def _with_defaults(contestant: Contestant, values: dict[str, str]) -> Contestant:
    """Return a contestant with ``values`` where it says nothing itself."""
    verifier, stop_policy = (values.pop(key, None) for key in (VERIFIER, STOP_POLICY))
    return attrs.evolve(
        contestant,
        options={**values, **contestant.options},
        verifier=contestant.verifier or verifier,
        stop_policy=contestant.stop_policy or stop_policy,
    )


def swept(sweep: str) -> list[str]:
    """Return the names that ``--sweep STRATEGY.KEY=A,B,C`` adds."""
    try:
        strategy, key, values = parse_option(sweep)
    except OptionError as error:
        raise OptionError(
            f"--sweep takes STRATEGY.KEY=A,B,C, such as --sweep kangaroo.steps=2,4,6; got '{sweep}'"
        ) from error
    return [f"{strategy}:{key}={value.strip()}" for value in values.split(",")]


def _of(strategy: str, options: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    return {key: value for owner, key, value in options if owner == strategy}

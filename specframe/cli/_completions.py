"""The values that a flag may take, for shells that complete: names, options, option values.

Nothing here imports torch. Each function returns (value, help) pairs; typer keeps those that begin
with what was typed.
"""

from __future__ import annotations

import typer

from specframe import _defaults
from specframe._errors import UnknownNameError
from specframe._plugins.component import Component, Kind
from specframe._plugins.discovery import load_registry
from specframe._plugins.options import describe_options, option_values

Completions = list[tuple[str, str]]


def strategies() -> Completions:
    """Return the strategies."""
    return [(name, each.summary) for name, each in sorted(load_registry().strategies.items())]


def verifiers() -> Completions:
    """Return the verifiers; the help says which are lossy."""
    return _components("verifier")


def stop_policies() -> Completions:
    """Return the stop policies."""
    return _components("stop policy")


def trainers() -> Completions:
    """Return what can be trained."""
    return _components("trainer")


def shells() -> Completions:
    """Return the shells that can complete."""
    return [("bash", ""), ("zsh", ""), ("fish", "")]


def devices() -> Completions:
    """Return how devices are named."""
    return [("auto", "CUDA where present"), ("cpu", ""), ("cuda", ""), ("cuda:0", "the first GPU")]


def options(context: typer.Context, incomplete: str) -> Completions:
    """Return ``-o`` pairs of ``decode`` and ``check``: keys, or a key's values after "="."""
    said = context.params
    fallback = _defaults.DRAFT_MODEL if said.get("draft_model") else _defaults.STRATEGY
    given = {pair.partition("=")[0] for pair in said.get("option") or ()}
    found = _pairs(
        said.get("strategy") or fallback, said.get("verifier"), said.get("stop_policy"), incomplete
    )
    return [(pair, help) for pair, help in found if pair.removesuffix("=") not in given]


def contestants(incomplete: str) -> Completions:
    """Return ``--strategies`` of ``bench``: names with commas, options of a name with colons."""
    before, comma, last = incomplete.rpartition(",")
    strategy, colon, rest = last.partition(":")
    if not colon:
        return [(f"{before}{comma}{name}", help) for name, help in _competing()]
    done, more, pair = rest.rpartition(":")
    head = f"{before}{comma}{strategy}:{done}{more}"
    return [(f"{head}{each}", help) for each, help in _pairs_of_contestant(strategy, pair)]


def contestant_options(incomplete: str) -> Completions:
    """Return ``-o`` and ``--sweep`` of ``bench``: STRATEGY.KEY=, or values after it."""
    strategy, dot, pair = incomplete.partition(".")
    if not dot:
        return [(f"{name}.", help) for name, help in _competing()]
    return [(f"{strategy}.{each}", help) for each, help in _pairs_of_contestant(strategy, pair)]


def _components(kind: Kind) -> Completions:
    table = load_registry().tables[kind]
    return [
        (name, f"{'LOSSY: ' * each.lossy}{each.summary}") for name, each in sorted(table.items())
    ]


def _competing() -> Completions:
    from specframe.bench._transformers_options import BASELINES  # noqa: PLC0415 (only bench needs it)

    return strategies() + [(name, "transformers' own") for name in sorted(BASELINES)]


def _pairs_of_contestant(strategy: str, pair: str) -> Completions:
    from specframe.bench._transformers_options import BASELINES  # noqa: PLC0415 (only bench needs it)

    if strategy in BASELINES:
        return _pairs_of(BASELINES[strategy], "", pair)
    return _pairs(strategy, None, None, pair)


def _pairs(strategy: str, verifier: str | None, policy: str | None, incomplete: str) -> Completions:
    """Return the pairs of a strategy's parts; nothing for names that are not registered."""
    registry = load_registry()
    try:
        bundle = registry.strategy(strategy)
        parts: list[tuple[Component, str]] = [
            (registry.drafter(bundle.drafter), ""),
            (registry.stop_policy(policy or bundle.stop_policy), "stop."),
        ]
        if named := verifier or bundle.verifier:
            parts.append((registry.verifier(named), "verifier."))
    except UnknownNameError:
        return []
    return [pair for part, prefix in parts for pair in _pairs_of(part.options, prefix, incomplete)]


def _pairs_of(cls: type | None, prefix: str, incomplete: str) -> Completions:
    """Return KEY= for each option, and KEY=VALUE after a key whose values are known."""
    key, equals, _ = incomplete.partition("=")
    if not equals:
        return [(f"{prefix}{each.name}=", each.help) for each in describe_options(cls)]
    values = option_values(cls).get(key.removeprefix(prefix), ())
    return [(f"{key}={value}", "") for value in values if key.startswith(prefix)]

"""What the stop policies let the user choose."""

from __future__ import annotations

import attrs

from specframe import at_least, not_nan, not_negative, option


@attrs.frozen
class FixedOptions:
    """Options of the policy ``fixed``.

    Raises OptionError for a value that is out of range.
    """

    steps: int = option(6, help="levels drafted in a round", unit="tokens", check=at_least(1))


@attrs.frozen
class ConfidenceOptions:
    """Options of the policy ``confidence``.

    Raises OptionError for a value that is out of range.
    """

    steps: int = option(6, help="most levels drafted in a round", unit="tokens", check=at_least(1))
    threshold: float = option(
        0.6,
        help="stop after a token whose top-1 probability lies below this; "
        "above 1 stops after every first draft",
        unit="probability",
        check=not_negative,
    )


@attrs.frozen
class HeuristicOptions:
    """Options of the policy ``heuristic``.

    Raises OptionError for a value that is out of range.
    """

    steps: int = option(20, help="most levels drafted in a round", unit="tokens", check=at_least(1))
    start: int = option(
        6, help="levels drafted in the first round of a decode", unit="tokens", check=at_least(1)
    )


@attrs.frozen
class SvipOptions:
    """Options of the policy ``svip``.

    Raises OptionError for a value that is out of range.
    """

    steps: int = option(40, help="most levels drafted in a round", unit="tokens", check=at_least(1))
    factor: float = option(
        0.15, help="what the entropy is multiplied by, under the root", check=not_negative
    )
    bound: float = option(
        0.3,
        help="stop after a token drafted where the root of factor x entropy lies above this",
        unit="square root of nats",
        check=not_negative,
    )


@attrs.frozen
class AdaptiveConfidenceOptions:
    """Options of the policy ``adaptive-confidence``.

    Raises OptionError for a value that is out of range.
    """

    steps: int = option(8, help="most levels drafted in a round", unit="tokens", check=at_least(1))
    threshold: float = option(
        0.6,
        help="top-1 probability below which drafting stops at first; it moves",
        unit="probability",
        check=not_negative,
    )
    acceptance: float = option(
        0.9, help="accepted share of a draft that is sought", unit="probability", check=not_nan
    )


@attrs.frozen
class AdaedlOptions:
    """Options of the policy ``adaedl``.

    Raises OptionError for a value that is out of range.
    """

    steps: int = option(8, help="most levels drafted in a round", unit="tokens", check=at_least(1))
    factor: float = option(
        0.2, help="what the entropy is multiplied by, under the root", check=not_negative
    )
    bound: float = option(
        0.4,
        help="do not draft a token where 1 - root of factor x entropy lies below this; it moves",
        unit="probability",
        check=not_nan,
    )
    acceptance: float = option(
        0.9, help="accepted share of a draft that is sought", unit="probability", check=not_nan
    )


@attrs.frozen
class CostAwareOptions:
    """Options of the policy ``cost-aware``.

    Raises OptionError for a value that is out of range.
    """

    steps: int = option(
        16,
        help="most levels drafted in a round, even if more would pay",
        unit="tokens",
        check=at_least(1),
    )


@attrs.frozen
class _Composed:
    """Options of both compositions; ``policies`` is as ``specframe.named_parts`` reads it."""

    policies: str = option(
        "confidence+svip",
        help="registered stop policies, joined by '+', each with its options: "
        "confidence:threshold=0.4+cost-aware",
    )
    steps: int | None = option(
        None,
        help="most levels drafted in a round, for policies that do not set it",
        unit="tokens",
        check=at_least(1),
    )
    threshold: float | None = option(
        None,
        help="top-1 probability, for policies that have a threshold and do not set it",
        unit="probability",
        check=not_negative,
    )


@attrs.frozen
class AnyOptions(_Composed):
    """Options of the policy ``any``; ``policies`` is as ``specframe.named_parts`` reads it.

    Raises OptionError for a value that is out of range.
    """


@attrs.frozen
class AllOptions(_Composed):
    """Options of the policy ``all``; ``policies`` is as ``specframe.named_parts`` reads it.

    Raises OptionError for a value that is out of range.
    """

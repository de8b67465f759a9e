"""Which drafters are composed."""

from __future__ import annotations

import attrs

from specframe import option

HELP = "registered drafters, joined by '+', each with its options: prompt-lookup:steps=4+kangaroo; "


@attrs.frozen
class FirstOptions:
    """Options of the drafter ``first``; ``drafters`` is as ``specframe.named_parts`` reads it."""

    drafters: str = option(
        "prompt-lookup:min_ngram=2+kangaroo", help=HELP + "the first that proposes something drafts"
    )


@attrs.frozen
class LongestOptions:
    """Options of the drafter ``longest``; ``drafters`` is as ``specframe.named_parts`` reads it."""

    drafters: str = option(
        "prompt-lookup+prompt-lookup:match=leftmost",
        help=HELP + "the one that proposes most drafts, so all should be cheap",
    )

"""What drafting with a model lets the user choose."""

from __future__ import annotations

import attrs

from specframe import at_least, not_negative, option


@attrs.frozen
class DraftModelOptions:
    """Options of the drafter ``draft-model``.

    Raises OptionError for a value that is out of range.
    """

    model: str = option(
        help="folder or hub id of a causal language model with the target's tokenizer; "
        "`--draft-model` for short"
    )
    steps: int = option(
        6,
        help="most tokens drafted in a round, under any stop policy",
        unit="tokens",
        check=at_least(1),
    )
    threshold: float | None = option(
        None,
        help="stop drafting after a token whose top-1 probability lies below this; "
        "without it, every draft has as many tokens as steps allow",
        unit="probability",
        check=not_negative,
    )
    revision: str | None = option(
        None, help="branch, tag or commit of the draft model on the hub; --revision is the target's"
    )
    trust_remote_code: bool = option(
        default=False,
        help="run code that comes with the draft model; --trust-remote-code is the target's",
    )

"""transformers' own strategies as competitors: their names and options, named as ours are."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from specframe import _defaults
from specframe._errors import OptionError
from specframe._plugins.options import at_least, not_nan, option, structure_options
from specframe.bench._contestants import Contestant


@attrs.frozen
class LookupOptions:
    """Options of transformers' prompt lookup."""

    steps: int = option(
        10, help="drafted tokens a round (prompt_lookup_num_tokens)", check=at_least(1)
    )
    max_ngram: int = option(
        3, help="longest n-gram looked up (max_matching_ngram_size)", check=at_least(1)
    )


@attrs.frozen
class EarlyExitOptions:
    """Options of transformers' early exit."""

    exit_layer: int = option(
        help="layers that the draft runs (assistant_early_exit)", check=at_least(1)
    )
    steps: int = option(6, help="drafted tokens a round (num_assistant_tokens)", check=at_least(1))
    threshold: float | None = option(
        0.6, help="stop below this confidence (assistant_confidence_threshold)", check=not_nan
    )


@attrs.frozen
class AssistedOptions:
    """Options of transformers' assisted decoding."""

    model: str = option(help="folder or hub id of the smaller model (assistant_model)")
    steps: int = option(6, help="drafted tokens a round (num_assistant_tokens)", check=at_least(1))
    threshold: float | None = option(
        None, help="stop below this confidence (assistant_confidence_threshold)", check=not_nan
    )


BaselineOptions = LookupOptions | EarlyExitOptions | AssistedOptions | None
BASELINES: Mapping[str, type | None] = {
    _defaults.GENERATE: None,
    "hf-prompt-lookup": LookupOptions,
    "hf-early-exit": EarlyExitOptions,
    "hf-assisted": AssistedOptions,
}


def baseline_options(contestant: Contestant) -> BaselineOptions:
    """Return the options of a baseline; raises OptionError for what does not fit."""
    if contestant.verifier is not None or contestant.stop_policy is not None:
        raise OptionError(
            f"strategy '{contestant.name}' is transformers' own: it takes no verifier and no stop "
            "policy"
        )
    kind = BASELINES[contestant.strategy]
    owner = f"strategy '{contestant.strategy}'"
    options: BaselineOptions = structure_options(kind, contestant.options, owner=owner)
    return options

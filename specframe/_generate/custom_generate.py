"""Our loop inside transformers' ``generate``: it prepares prompts and settings, we decode.

``generate`` prepares, we decode: processors and criteria are taken as transformers made them, so no
setting has a second reading. Temperature, top-k, top-p and min-p at the end of the list become the
sampler's own; all else is asked row by row, with the row's padding in front (``Row.processors``),
since that is what it sees in ``generate``. transformers hands a callable neither streamer nor
assistant model: both are read in the frame of the ``generate`` that is calling, so that the one is
served and the other refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from jaxtyping import Int
from torch import Tensor

from specframe import _defaults
from specframe._assembly.assembly import assemble
from specframe._contracts.drafter import Drafter
from specframe._contracts.stop_policy import StopPolicy
from specframe._contracts.verifier import Verifier
from specframe._decoder.decoder import Decoder
from specframe._decoder.request import Request
from specframe._decoder.streamers import Feed
from specframe._errors import InputError
from specframe._generate.borrowed_models import Lent, Wanted
from specframe._generate.generate_output import output_of, sequences_of
from specframe._generate.prompt_rows import Chain, Ends, leads_of, rows_of
from specframe._generate.refusals import refuse_encoder, refuse_unserved, withheld
from specframe._plugins.discovery import load_plugins
from specframe._results.result import Result
from specframe._round.rows import Row

# One for the process: each call of generate may have its own custom_generate(...).
_LENT = Lent()


def custom_generate(
    strategy: str | Drafter = _defaults.STRATEGY,
    *,
    verifier: str | Verifier | None = None,
    stop_policy: str | StopPolicy | None = None,
    exact: bool = False,
    options: Mapping[str, object] | None = None,
    **strategy_options: object,
) -> CustomGenerate:
    """Return a decoding loop for ``model.generate(..., custom_generate=...)`` of transformers.

    The arguments are those of ``specframe.load``, with the same keys in ``options``; the strategy's
    options may also be arguments (``adapter="..."``). Greedy decoding gives the tokens of
    ``generate`` without it, sampling its law, with noise from ``torch.manual_seed``. The model
    is left as it is; it is loaded on the first call, and again if its weights have changed.

    Raises UnknownNameError, OptionError, InputError or PluginError at once for its arguments.
    Inside ``generate``, InputError names an argument that cannot be served, ModelError is for
    a model with an encoder, and all that ``load`` and ``Decoder.decode`` raise may be raised.
    """
    chosen = {**(options or {}), **strategy_options}
    assemble(load_plugins().registry, strategy, verifier, stop_policy, chosen)
    return CustomGenerate(Wanted(strategy, chosen, verifier, stop_policy, exact))


@attrs.frozen(eq=False)
class CustomGenerate:
    """Decode what ``generate`` has prepared; made by ``specframe.custom_generate``."""

    wanted: Wanted

    def __call__(  # noqa: PLR0913 (as generate calls it)
        self,
        model: Any,
        input_ids: Int[Tensor, "batch token"],
        *,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        streamer: Any = None,
        **model_kwargs: Any,
    ) -> Any:
        """Return what ``generate`` returns: sequences, or a GenerateDecoderOnlyOutput.

        The output has ``sequences``, ``logits`` and ``scores`` if asked for, and ``results``: a
        ``specframe.Result`` a row. For what is raised, see ``specframe.custom_generate``.
        """
        refuse_encoder(model)
        given = withheld()
        refuse_unserved(generation_config, model_kwargs, given, model.generation_config)
        streamer = given.get("streamer") if streamer is None else streamer
        leads = leads_of(
            input_ids, model_kwargs.get("attention_mask"), model_kwargs.get("position_ids")
        )
        config = generation_config
        chain = Chain.of(logits_processor, is_sampled=bool(config.do_sample))
        ends = Ends.of(stopping_criteria)
        _refuse_criteria(ends, config, len(leads))
        decoder = _LENT.decoder(model, self.wanted)
        rows = rows_of(input_ids, leads, chain, ends, decoder.loaded)
        results = _decode(decoder, rows, _request(chain, config, streamer, len(rows)))
        pad: Any = getattr(config, "_pad_token_tensor", None) if ends.eos else None
        sequences = sequences_of(input_ids, results, None if pad is None else int(pad))
        return output_of(input_ids, sequences, results, logits_processor, config)


def _request(chain: Chain, config: Any, streamer: Any, rows: int) -> Request:
    wants_logits = config.return_dict_in_generate and (config.output_logits or config.output_scores)
    settings: Any = chain.settings
    request = Request(
        **settings,
        output_logits=bool(wants_logits),
        streamer=None if streamer is None else Feed(streamer, has_prompt=True),
    )
    request.check_lists(rows)
    return request


def _refuse_criteria(ends: Ends, config: Any, rows: int) -> None:
    """Raise InputError if a criterion would need what is not known yet."""
    if ends.custom and config.return_dict_in_generate and config.output_scores:
        raise InputError(
            f"specframe.custom_generate cannot serve stopping_criteria ({_name(ends.custom)}) and "
            "output_scores, since those are put together at the end: ask for output_logits instead"
        )
    if ends.by_row and rows > 1 and not ends.eos:
        raise InputError(
            f"specframe.custom_generate cannot serve stopping_criteria ({_name(ends.by_row)}) for "
            f"{rows} rows without an end token, since generate then continues rows that have "
            "stopped: give eos_token_id, or one row at a time"
        )


def _name(criteria: Sequence[Any]) -> str:
    return type(criteria[0]).__name__


def _decode(decoder: Decoder, rows: list[Row], request: Request) -> list[Result]:
    size = decoder.rows_together(None, len(rows))
    results = [
        result
        for start in range(0, len(rows), size)
        for result in decoder.decode_rows(rows[start : start + size], request)
    ]
    if any(result.finish_reason == "context" for result in results):
        warnings.warn(
            f"decoding ended at the model's context window of {decoder.loaded.engine.context} "
            "tokens, where generate alone would have continued",
            stacklevel=2,
        )
    return results

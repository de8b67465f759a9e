"""``specframe.decode``: load, decode and release, in one call."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack, cast

from specframe._contracts.drafter import Drafter
from specframe._contracts.stop_policy import StopPolicy
from specframe._contracts.verifier import Verifier
from specframe._decoder.arguments import DecodeArguments, refuse_unknown, spelled
from specframe._decoder.decoder import load
from specframe._decoder.request import Prompt, parameters_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class CallArguments(DecodeArguments, total=False):
    """Say as well what ``load`` takes: each means what it means there."""

    model: str | os.PathLike[str] | PreTrainedModel | None
    strategy: str | Drafter
    options: Mapping[str, object] | None
    tokenizer: PreTrainedTokenizerBase | None
    verifier: str | Verifier | None
    stop_policy: str | StopPolicy | None
    dtype: str
    device: str
    exact: bool
    trust_remote_code: bool
    revision: str | None


_OF_LOAD = [
    each.replace(kind=each.KEYWORD_ONLY) for each in inspect.signature(load).parameters.values()
]


@spelled([*_OF_LOAD, *parameters_of(DecodeArguments)])
def decode(prompt: Prompt | Sequence[Prompt], **arguments: Unpack[CallArguments]) -> Any:
    """Load a model, decode a prompt to a Result (a list of prompts to a list), and release both.

    The arguments are those of ``load`` (``model`` as a keyword) and of ``Decoder.decode``. Raises
    what they raise (UnknownNameError, OptionError, ModelError, InputError and others), and
    TypeError for an unknown argument. Loading takes seconds: to decode more than once, keep a
    decoder.
    """
    refuse_unknown(arguments, CallArguments, "decode")
    of_load = {each.name for each in _OF_LOAD}
    loading: dict[str, Any] = {name: arg for name, arg in arguments.items() if name in of_load}
    decoding = {name: arg for name, arg in arguments.items() if name not in of_load}
    with load(**loading) as decoder:
        return decoder.decode(prompt, **cast("DecodeArguments", decoding))

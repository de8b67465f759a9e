"""Models that draft for a target: loaded in the same way, and only with the same tokens.

A draft model is an engine, not a target: it knows neither stops nor commits, and has a cache of its
own. In exact mode it stays an ordinary engine, since nothing that it says can change the output.
"""

from __future__ import annotations

import os
from typing import Any

import attrs

from specframe._engine.engine import Engine
from specframe._engine.runners.selection import on_runner
from specframe._errors import ModelError
from specframe._loading.loading import Loaded, Source, load_model
from specframe._plugins.registry import Registry
from specframe._words import dtype_name

PADDING = 512  # most rows by which heads of one tokenizer differ: sizes are rounded up


@attrs.frozen(eq=False)
class Beside:
    """Load models for the drafter of ``target``.

    The user's trust and revision are for the target, and not passed on to them.
    """

    target: Loaded
    registry: Registry

    def __call__(self, model: str, *, trust_remote_code: bool, revision: str | None) -> Engine:
        """Return the engine of ``model``; raises ModelError, also for another vocabulary."""
        engine = self.target.engine
        dtype = dtype_name(engine.dtype)
        source = Source(
            model,
            dtype=self.target.source.dtype if self._is_named else dtype,
            device=str(engine.device),
            trust_remote_code=trust_remote_code,
            revision=revision,
        )
        other = load_model(source, self.registry)
        refuse_other_tokens(self.target, other)
        return on_runner(other.engine)

    @property
    def _is_named(self) -> bool:
        """Tell whether the target was read from a checkpoint, by its rules for "auto"."""
        model = self.target.source.model
        return model is None or isinstance(model, str | os.PathLike)


def refuse_other_tokens(target: Loaded, other: Loaded) -> None:
    """Raise ModelError if a token id means two things; without tokenizers, sizes decide.

    A head may have more rows than there are tokens, and either tokenizer a few tokens more.
    """
    ours, theirs = _words(target.tokenizer), _words(other.tokenizer)
    names = f"'{other.origin.name}' cannot draft for '{target.origin.name}'"
    same = f"take a model with the tokenizer of '{target.origin.name}'"
    if ours and theirs:
        clash = next((i for i in sorted(ours.keys() & theirs.keys()) if ours[i] != theirs[i]), None)
        if clash is not None:
            raise ModelError(
                f"{names}: token {clash} is {theirs[clash]!r} to the one and {ours[clash]!r} to "
                f"the other, so {same}"
            )
        return
    sizes = other.engine.vocab_size, target.engine.vocab_size
    if abs(sizes[0] - sizes[1]) > PADDING:
        raise ModelError(
            f"{names}: their vocabularies have {sizes[0]} and {sizes[1]} tokens, which is more "
            f"than padding explains, so {same}"
        )


def _words(tokenizer: Any) -> dict[int, str]:
    """Return the tokens by id; empty without a tokenizer, or if it cannot tell."""
    if not hasattr(tokenizer, "get_vocab"):
        return {}
    return {number: word for word, number in tokenizer.get_vocab().items()}

"""Show what the engine costs on top of the model: time outside forwards, and memory per token.

    python benchmarks/engine.py [--model FOLDER]

Time: drafting and verifying are model work, ``other`` is the loop, verdict, commit and metrics;
time in drafting and verifying outside layers and head counts as engine time too.
Memory: live tensors after 64 and after 512 new tokens.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from typing import Any

import torch

import specframe

PROMPT = list(range(5, 105))


def main() -> None:
    """Measure plain decoding and Kangaroo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="folder (default: the demo model)")
    arguments = parser.parse_args()
    for strategy in ("none", "kangaroo"):
        with specframe.load(arguments.model, strategy=strategy) as decoder:
            print(f"{strategy:10} time outside forwards {overhead(decoder):6.1%} of a round")
            print(f"{strategy:10} {growth(decoder)}")


def overhead(decoder: specframe.Decoder) -> float:
    """Return the share of the rounds' time that is not spent in layers, norms and head."""
    decode(decoder, 16)
    timer = Timer()
    timer.wrap(decoder.target.engine, ("run", "logits", "norm", "embed"))
    timer.wrap_adapter(decoder.drafter)
    result = decode(decoder, 256)
    seconds = result.metrics.seconds
    rounds = seconds["total"] - seconds["prefill"]
    return (rounds - timer.seconds) / rounds


class Timer:
    """Add up the time spent in wrapped methods; the outermost call counts."""

    def __init__(self) -> None:
        """Start at zero."""
        self.seconds = 0.0
        self._depth = 0

    def wrap(self, owner: Any, names: tuple[str, ...]) -> None:
        """Replace methods of one object by timed ones."""
        for name in names:
            setattr(owner, name, self.timed(getattr(owner, name)))

    def wrap_adapter(self, drafter: Any) -> None:
        """Time a Kangaroo drafter's adapter too; other drafters have none."""
        if hasattr(drafter, "_adapter"):
            owner = type(drafter._adapter)  # noqa: SLF001
            owner.__call__ = self.timed(owner.__call__)

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that books its time, and costs little outside of it."""

        def run(*args: Any, **kwargs: Any) -> Any:
            start, self._depth = time.perf_counter(), self._depth + 1
            try:
                return function(*args, **kwargs)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.seconds += time.perf_counter() - start

        return run


def growth(decoder: specframe.Decoder) -> str:
    """Return how much tensor memory is alive after short and long decodes of one size of cache."""
    decode(decoder, 512)
    sizes = [alive(decoder, count) for count in (64, 512)]
    return f"tensors alive after 64 / 512 new tokens: {sizes[0]:.1f} / {sizes[1]:.1f} MB"


def alive(decoder: specframe.Decoder, count: int) -> float:
    """Return the megabytes of all tensors right after a decode, the result still held."""
    result = decode(decoder, count)
    gc.collect()
    seen = {
        item.untyped_storage().data_ptr(): item.untyped_storage().nbytes()
        for item in gc.get_objects()
        # By its type alone: isinstance asks lazy stand-ins for their class, which wakes them.
        if issubclass(type(item), torch.Tensor) and item.layout is torch.strided
    }
    assert len(result.token_ids) == count
    return sum(seen.values()) / 1e6


def decode(decoder: specframe.Decoder, count: int) -> specframe.Result:
    """Decode the fixed prompt without stopping at EOS."""
    result: specframe.Result = decoder.decode(PROMPT, max_new_tokens=count, eos_token_id=())
    return result


if __name__ == "__main__":
    main()

"""Plain decoding beside a strategy, interleaved so that both run under the same conditions.

Plain decoding catches up token by token after each round, on the same weights with a cache of its
own. Each way has its own clock, and neither clock runs while the other decodes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Unpack

import attrs

from specframe._decoder.arguments import StreamArguments
from specframe._decoder.decoder import Decoder
from specframe._decoder.request import Prompt
from specframe._decoder.stream import Stream
from specframe._judging.check import check
from specframe._judging.findings import Report
from specframe._results.metrics import Metrics, ratio
from specframe._results.result import Result
from specframe._results.row_round import RowRound


class Comparison:
    """Iterate over the strategy's rounds; after each, plain decoding catches up in tokens.

    ``result`` carries ``speedup``, ``identical`` and the break-even acceptance length,
    ``plain_result`` is what they compare it with.
    """

    def __init__(self, fast: Stream, plain: Stream, plain_decoder: Decoder) -> None:
        """Begin; nothing runs before the first round is asked for."""
        self._fast = fast
        self._plain = plain
        self._plain_decoder = plain_decoder
        self._iterator = self._run()

    def __iter__(self) -> Iterator[RowRound]:
        """Return the iterator itself."""
        return self

    def __next__(self) -> RowRound:
        """Return the strategy's next round."""
        return next(self._iterator)

    def close(self) -> None:
        """Stop both and free the decoder."""
        self._fast.close()
        self._plain.close()

    @property
    def result(self) -> Result:
        """Return the strategy's result with the figures of the comparison."""
        result = self._fast.result
        return attrs.evolve(result, metrics=_compared(result, self._plain.result))

    @property
    def plain_result(self) -> Result:
        """Return plain decoding's result."""
        return self._plain.result

    def _run(self) -> Iterator[RowRound]:
        tokens = plain_tokens = 0
        for round in self._fast:
            yield round
            tokens += len(round.committed)
            while plain_tokens < tokens and (step := next(self._plain, None)) is not None:
                plain_tokens += len(step.committed)
        for _ in self._plain:
            pass
        self._plain_decoder.close()


def compare(decoder: Decoder, prompt: Prompt, **arguments: Unpack[StreamArguments]) -> Comparison:
    """Decode ``prompt`` with ``decoder``'s strategy and plainly; arguments as for ``stream``."""
    plain = decoder.plain()
    if arguments.get("seed") is None:  # both must draw the same noise
        arguments["seed"] = secrets.randbits(31)
    fast = decoder.stream(prompt, **arguments)
    arguments["output_probs"] = False  # the plain rounds are not looked at
    return Comparison(fast, plain.stream(prompt, **arguments), plain)


def judge(decoder: Decoder, result: Result, **arguments: Unpack[StreamArguments]) -> Report:
    """Decode the prompt of a compared result once more, with logits, and judge the difference."""
    arguments["seed"] = result.seed
    return check(decoder, [result.prompt_token_ids], **arguments)


def _compared(result: Result, plain: Result) -> Metrics:
    """Add the figures of plain decoding of the same prompt in the same run."""
    metrics = result.metrics
    ours, theirs = metrics.tokens_per_second, plain.metrics.tokens_per_second
    seconds = metrics.seconds["total"] - metrics.seconds["prefill"]
    a_round = ratio(seconds, metrics.num_spec_steps)
    return attrs.evolve(
        metrics,
        speedup=ours / theirs if ours and theirs else None,
        identical=result.token_ids == plain.token_ids,
        break_even_acceptance_length=a_round * theirs if a_round and theirs else None,
    )

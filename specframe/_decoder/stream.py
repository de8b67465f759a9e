"""From rounds to results: what each row did, and the iterator over one prompt's rounds."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING

import attrs
import torch
from torch import Tensor

from specframe._decoder.request import decode_with
from specframe._decoder.streamers import Feed
from specframe._plugins.discovery import load_plugins
from specframe._results.metrics import measure
from specframe._results.result import Result
from specframe._results.row_round import RowRound
from specframe._results.streamed_text import TextStream, text_of
from specframe._round.round import Round
from specframe._round.rows import Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class RowLog:
    """Record what one row does, round by round; ``result`` is what has been decoded so far."""

    def __init__(self, row: Row, tokenizer: PreTrainedTokenizerBase | None) -> None:
        """Follow ``row``; owns its text."""
        self.row = row
        self._decode = None if tokenizer is None else decode_with(tokenizer)
        self._text = None if self._decode is None else TextStream(self._decode, row.stops.strings)
        self._prefill: dict[str, float] = {}
        self._logits: list[Tensor] = []
        self.rounds: list[RowRound] = []

    def add(self, round: Round) -> RowRound | None:
        """Record a round of the batch, if the row took part in it; return it with its text."""
        if self.row.index not in round.indices:
            return None
        place = round.indices.index(self.row.index)
        row_round = self._with_text(round.row(place))
        if round.logits is not None:
            self._logits.append(round.logits[place, : len(row_round.committed)])
        if round.draft is None:
            self._prefill = row_round.seconds
        else:
            self.rounds.append(row_round)
        return row_round

    @property
    def result(self) -> Result:
        """Return the result of all rounds until now."""
        row = self.row
        new = row.new_tokens
        decode = self._decode
        return Result(
            token_ids=new,
            text=None if decode is None else text_of(new, decode, row.stops.strings),
            finish_reason=row.finish_reason,
            prompt_token_ids=row.tokens[: row.prompt_length],
            seed=row.seed,
            metrics=measure(row.prompt_length, len(new), self.rounds, self._prefill),
            rounds=list(self.rounds),
            logits=torch.cat(self._logits).clone() if self._logits else None,
        )

    def _with_text(self, round: RowRound) -> RowRound:
        if self._text is None:
            return round
        pieces = [
            (self._text.add([token]), place < round.accepted)
            for place, token in enumerate(round.committed)
        ]
        if round.finish_reason is not None:
            pieces.append((self._text.finish(), False))
        pieces = [piece for piece in pieces if piece[0]]
        return attrs.evolve(round, text="".join(text for text, _ in pieces), pieces=tuple(pieces))


class Stream:
    """Iterate over the rounds of one prompt; ``result`` is what has been decoded so far.

    The prefill comes first, as a round with an empty draft. Made by ``Decoder.stream``. ``next``
    raises what ``Decoder.decode`` raises while it decodes.
    """

    def __init__(self, log: RowLog, rounds: Generator[Round]) -> None:
        """Follow a row through ``rounds``; nothing runs before the first round is asked for."""
        self._log = log
        self._rounds = rounds
        self._iterator = self._run()

    def __iter__(self) -> Iterator[RowRound]:
        """Return the iterator itself."""
        return self

    def __next__(self) -> RowRound:
        """Return the next round; raises what ``Decoder.decode`` raises while it decodes."""
        return next(self._iterator)

    def close(self) -> None:
        """Stop decoding and free the decoder for another call."""
        self._iterator.close()
        self._rounds.close()

    @property
    def rounds(self) -> list[RowRound]:
        """Return the rounds until now, without the prefill."""
        return self._log.rounds

    @property
    def result(self) -> Result:
        """Return the result of all rounds until now; ``finish_reason`` is None before the end."""
        return self._log.result

    def _run(self) -> Generator[RowRound]:
        for round in self._rounds:
            seen = self._log.add(round)
            assert seen is not None
            yield seen
        load_plugins().observe_finished(self.result)


def drain(
    logs: Sequence[RowLog], rounds: Generator[Round], feed: Feed | None = None
) -> list[Result]:
    """Run a batch to its end and return the result of each row; ``feed`` follows a single one."""
    with contextlib.closing(rounds):  # if a streamer fails, the decoder must be free
        for round in rounds:
            for log in logs:
                _follow(log, log.add(round), feed)
    if feed is not None:
        feed.end()
    results = [log.result for log in logs]
    for result in results:
        load_plugins().observe_finished(result)
    return results


def _follow(log: RowLog, seen: RowRound | None, feed: Feed | None) -> None:
    if feed is not None and seen is not None:
        feed.put(log.row.tokens[: log.row.prompt_length], seen.committed)

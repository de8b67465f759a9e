"""Whether a strategy said what plain decoding says, and what a difference amounts to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal

import attrs
import torch

from specframe import _defaults
from specframe._certificate import Bounds, Choice, Spot, Trial, certify, deviation, rounding
from specframe._check import Checker
from specframe._reference import Reference
from specframe._sampling import Sampling
from specframe._stream import Result
from specframe.bench._competitor import Competitor, Draws
from specframe.bench._ours import OurCompetitor
from specframe.bench._prompts import BenchPrompt
from specframe.bench._records import Run
from specframe.bench._runner import Runner
from specframe.bench._theirs import StockModel, TheirCompetitor

Word = Literal["identical", "near tie", "different"]
GREEDY = Sampling()
TOKENS = "tokens"  # the guarantee under which other tokens are a fault


@attrs.frozen
class Judgement:
    """Say how one prompt's tokens compare; ``at`` counts new tokens over all turns."""

    word: Word
    at: int | None = None


IDENTICAL = Judgement("identical")


@attrs.frozen
class Difference:
    """Say where a run first differs from plain decoding: in which turn, at which new token."""

    turn: int
    position: int
    at: int


@attrs.frozen
class Suspect:
    """Hold a prompt whose tokens differ, and the ids behind which its turn began."""

    prompt: BenchPrompt
    ids: list[int]
    plain_token_ids: list[int]
    token_ids: list[int]
    found: Difference


@attrs.frozen
class Judge:
    """Compare runs with plain decoding; whatever differs is decoded once more, with logits.

    ``stock`` is transformers' model, where any of its ways of decoding competes.
    """

    runner: Runner
    prompts: Mapping[str | int, BenchPrompt]
    draws: Draws
    stock: StockModel | None

    @cached_property
    def _reference(self) -> Reference:
        """Return the one copy of the model in float64 that judges all strategies."""
        return Reference(self._plain().decoder.loaded)

    def judge(self, runs: Sequence[Run]) -> dict[str, dict[str, Judgement]]:
        """Return, by strategy and prompt, what came of it; empty without plain decoding."""
        plain = self._plain_name()
        if plain is None:
            return {}
        yardstick = {
            run.prompt: run for run in reversed(runs) if run.strategy == plain and run.error is None
        }
        return {
            name: self._judge_one(name, competitor, runs, yardstick)
            for name, competitor in self.runner.competitors.items()
            if self._is_comparable(competitor)
        }

    def _plain_name(self) -> str | None:
        records = [competitor.record for competitor in self.runner.competitors.values()]
        names = [each.name for each in records if each.strategy == _defaults.PLAIN]
        return names[0] if names else None

    def _is_comparable(self, competitor: Competitor) -> bool:
        """Tell whether equal tokens can be expected: transformers draws other random numbers."""
        return competitor.record.kind == "specframe" or self.draws.temperature == 0

    def _judge_one(
        self,
        name: str,
        competitor: Competitor,
        runs: Sequence[Run],
        yardstick: Mapping[str | int, Run],
    ) -> dict[str, Judgement]:
        found: dict[str, Judgement] = {}
        suspects: list[Suspect] = []
        for run in runs:
            plain = yardstick.get(run.prompt)
            if run.strategy != name or run.error is not None or plain is None:
                continue
            difference = first_difference(run, plain)
            if difference is None:
                found.setdefault(str(run.prompt), IDENTICAL)
            elif found.get(str(run.prompt), IDENTICAL) is IDENTICAL:
                found[str(run.prompt)] = Judgement("different", difference.at)
                suspects.append(self._suspect(run, plain, difference))
        ties = self._ties(competitor, suspects) if suspects else []
        for suspect, is_tie in zip(suspects, ties, strict=True):
            if is_tie:
                found[str(suspect.prompt.id)] = Judgement("near tie", suspect.found.at)
        return found

    def _suspect(self, run: Run, plain: Run, found: Difference) -> Suspect:
        prompt, turn = self.prompts[run.prompt], found.turn
        ids = self.runner.ids(prompt, plain.turns[:turn])
        return Suspect(prompt, ids, plain.turns[turn].token_ids, run.turns[turn].token_ids, found)

    def _ties(self, competitor: Competitor, suspects: Sequence[Suspect]) -> list[bool]:
        """Return for each suspect whether the difference is a certified near tie."""
        if isinstance(competitor, OurCompetitor) and competitor.record.guarantee == TOKENS:
            return self._our_ties(competitor, suspects)
        if isinstance(competitor, TheirCompetitor) and self.stock is not None:
            plain = self._plain()
            referee = StockReferee(plain, self.stock, self._reference)
            return [referee.is_tie(suspect) for suspect in suspects]
        return [False] * len(suspects)

    def _plain(self) -> OurCompetitor:
        name = self._plain_name()
        assert name is not None
        plain = self.runner.competitors[name]
        assert isinstance(plain, OurCompetitor)
        return plain

    def _our_ties(self, competitor: OurCompetitor, suspects: Sequence[Suspect]) -> list[bool]:
        draws, most = self.draws, self.runner.max_new_tokens
        arguments = {
            "max_new_tokens": most,
            "seed": draws.seed,
            "temperature": draws.temperature,
        }
        competitor.reset()
        checker = Checker(competitor.decoder, arguments, self._reference)
        pairs = [
            checker.compare(each.ids, max_new_tokens=each.prompt.max_new_tokens or most)
            for each in suspects
        ]
        return [prompt.word == "tie" for prompt in checker.report(pairs).prompts]


@attrs.frozen
class StockReferee:
    """Judge a difference between greedy ``generate`` and plain decoding, with float64's word."""

    plain: OurCompetitor
    stock: StockModel
    reference: Reference

    def is_tie(self, suspect: Suspect) -> bool:
        """Tell whether rounding alone explains the first difference of tokens.

        The stock model scores plain decoding's tokens in one pass; all rows but the one under test
        show how far rounding takes logits apart.
        """
        at, tokens = suspect.found.position, suspect.plain_token_ids
        if at >= min(len(tokens), len(suspect.token_ids)):
            return False  # one of them ends earlier: no logits explain that
        result: Result = self.plain.decoder.decode(
            suspect.ids, max_new_tokens=len(tokens), eos_token_id=(), output_logits=True
        )
        if result.token_ids != tokens or result.logits is None:
            return False
        dtype = self.plain.decoder.target.engine.dtype
        sure = self.reference.rows(suspect.ids, tokens)
        rows = [
            [Choice.of(row, GREEDY, Spot((), place, 0)) for place, row in enumerate(each)]
            for each in (result.logits, self._stock_rows(suspect.ids, tokens), sure)
        ]
        plain, theirs, reference = rows
        others = [place for place in range(len(tokens)) if place != at]
        bounds = Bounds.of(
            [deviation(plain[place], theirs[place]) for place in others],
            [deviation(reference[place], plain[place]) for place in others],
            rounding(dtype, plain[at].largest),
        )
        trial = Trial(plain[at], theirs[at], reference[at], tokens[at], suspect.token_ids[at])
        return certify(trial, bounds).holds

    def _stock_rows(self, ids: list[int], tokens: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            whole = torch.tensor([[*ids, *tokens[:-1]]], device=self.stock.device)
            output = self.stock.model(whole, use_cache=False, logits_to_keep=len(tokens))
        logits: torch.Tensor = output.logits[0]
        return logits


def first_difference(run: Run, plain: Run) -> Difference | None:
    """Return where the tokens of two runs of the same prompt first differ, None if nowhere."""
    before = 0
    for number, (ours, theirs) in enumerate(zip(run.turns, plain.turns, strict=True)):
        position = _first_difference(ours.token_ids, theirs.token_ids)
        if position is not None:
            return Difference(number, position, before + position)
        before += len(theirs.token_ids)
    return None


def _first_difference(ours: Sequence[int], theirs: Sequence[int]) -> int | None:
    if ours == theirs:
        return None
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(ours), len(theirs)))

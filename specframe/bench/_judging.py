"""Whether a strategy said what plain decoding says, and what a difference amounts to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import attrs

from specframe import _defaults
from specframe._judging.reference import Reference
from specframe._words import first_difference
from specframe.bench._competitor import Competitor, Draws
from specframe.bench._near_ties import Place, Referee, Suspect
from specframe.bench._prompts import BenchPrompt
from specframe.bench._records import (
    DIFFERENT,
    IDENTICAL,
    NEAR_TIE,
    NOT_JUDGED,
    WORST_FIRST,
    Judgement,
    Run,
    StrategyRecord,
)
from specframe.bench._runner import Runner, message_of
from specframe.bench._specframe_competitor import SpecframeCompetitor

Judgements = dict[str, dict[str, Judgement]]  # by strategy and prompt
TOKENS = "tokens"  # the guarantee under which other tokens are a fault
CUT_OFF = "the judging was cut off, and --resume continues it"
UNPROMISED = "its verifier promises no tokens"


@attrs.frozen
class Case:
    """Hold one strategy's runs beside plain decoding's.

    ``lengths`` are, by prompt, the fewest tokens from the first on that one of its runs shares with
    plain decoding; ``suspects`` are the distinct differences, of all repeats.
    """

    record: StrategyRecord
    lengths: Mapping[str, int]
    suspects: Sequence[Suspect]

    @property
    def is_judged(self) -> bool:
        """Tell whether a difference may be a near tie: without a promise there is no excuse."""
        return self.record.guarantee == TOKENS or self.record.kind == "transformers"

    def judgements(self, said: Sequence[Judgement]) -> dict[str, Judgement]:
        """Return the worst judgement of each prompt; ``said`` are those of the suspects."""
        found = dict.fromkeys(self.lengths, IDENTICAL)
        for suspect, judgement in zip(self.suspects, said, strict=True):
            prompt = str(suspect.prompt.id)
            found[prompt] = min(found[prompt], judgement, key=_rank)
        return found


@attrs.frozen
class Judge:
    """Compare runs with plain decoding; float64 judges what differs.

    ``reference`` is the one copy of the model in float64 for all strategies, made where it is None.
    """

    runner: Runner
    prompts: Mapping[str | int, BenchPrompt]
    draws: Draws
    reference: Reference | None = None

    def look(self, runs: Sequence[Run]) -> Judgements:
        """Return, by strategy and prompt, what is seen at once; the rest is not judged.

        It is empty without plain decoding.
        """
        return {
            name: case.judgements(
                [_at_once(each, case) or _unjudged(each, CUT_OFF) for each in case.suspects]
            )
            for name, case in self._cases(runs)
        }

    def judge(self, runs: Sequence[Run], heard: Callable[[int, int], None]) -> Judgements:
        """Return, by strategy and prompt, what came of it.

        ``heard`` is told how many differences are judged, and of how many. After a fault the
        differences of that one strategy are not judged.
        """
        cases = dict(self._cases(runs))
        total = sum(len(case.suspects) for case in cases.values())
        found: Judgements = {}
        done = 0
        if total:
            heard(done, total)
        for name, case in cases.items():
            said = []
            for judgement in self._judged(case):
                said.append(judgement)
                done += 1
                heard(done, total)
            found[name] = self._without_crowds(case, case.judgements(said))
        return found

    @cached_property
    def _referee(self) -> Referee:
        plain = self.runner.competitors[self._plain_name() or ""]
        assert isinstance(plain, SpecframeCompetitor)
        reference = self.reference or Reference(plain.decoder.loaded)
        return Referee(plain, self.draws, reference)

    def _plain_name(self) -> str | None:
        records = [competitor.record for competitor in self.runner.competitors.values()]
        names = [each.name for each in records if each.strategy == _defaults.PLAIN]
        return names[0] if names else None

    def _cases(self, runs: Sequence[Run]) -> Iterator[tuple[str, Case]]:
        """Yield the case of every strategy whose tokens can be compared."""
        plain = self._plain_name()
        if plain is None:
            return
        good = [run for run in runs if run.error is None]
        yardstick = {run.prompt: run for run in reversed(good) if run.strategy == plain}
        for name, competitor in self.runner.competitors.items():
            if self._is_comparable(competitor):
                own = [run for run in good if run.strategy == name and run.prompt in yardstick]
                yield name, self._case(competitor.record, own, yardstick)

    def _is_comparable(self, competitor: Competitor) -> bool:
        """Tell whether equal tokens can be expected: transformers draws other random numbers."""
        return competitor.record.kind == "specframe" or self.draws.temperature == 0

    def _case(
        self, record: StrategyRecord, runs: Sequence[Run], yardstick: Mapping[str | int, Run]
    ) -> Case:
        lengths: dict[str, int] = {}
        suspects: dict[object, Suspect] = {}
        for run in runs:
            plain, prompt = yardstick[run.prompt], str(run.prompt)
            place = first_place(run, plain)
            same = place.at if place else sum(len(turn.token_ids) for turn in plain.turns)
            lengths[prompt] = min(same, lengths.get(prompt, same))
            if place is not None:
                suspect = self._suspect(run, plain, place)
                suspects.setdefault(suspect.key, suspect)
        return Case(record, lengths, list(suspects.values()))

    def _suspect(self, run: Run, plain: Run, found: Place) -> Suspect:
        prompt, turn = self.prompts[run.prompt], found.turn
        ids = self.runner.ids(prompt, plain.turns[:turn])
        return Suspect(prompt, ids, plain.turns[turn].token_ids, run.turns[turn].token_ids, found)

    def _judged(self, case: Case) -> Iterator[Judgement]:
        """Yield a judgement of each suspect; after a fault, that the rest is not judged."""
        said = 0
        try:
            for judgement in self._rulings(case):
                yield judgement
                said += 1
        except Exception as error:  # noqa: BLE001 (it must not cost what was measured)
            why = message_of(error)
            for suspect in case.suspects[said:]:
                yield _at_once(suspect, case) or _unjudged(suspect, why)

    def _rulings(self, case: Case) -> Iterator[Judgement]:
        """Yield a judgement of each suspect; float64 decides about those that it may acquit."""
        at_once = [_at_once(suspect, case) for suspect in case.suspects]
        pairs = list(zip(case.suspects, at_once, strict=True))
        unclear = [suspect for suspect, word in pairs if word is None]
        bounds = self._referee.bounds(unclear) if unclear else None
        for suspect, word in pairs:
            if bounds is None or word is not None:
                assert word is not None
                yield word
            else:
                yield self._referee.judge(suspect, bounds)

    def _without_crowds(self, case: Case, found: dict[str, Judgement]) -> dict[str, Judgement]:
        """Return the judgements on a strategy; near ties beyond what chance brings are none."""
        ties = sum(each.word == NEAR_TIE for each in found.values())
        compared = sum(case.lengths.values()) + sum(each.at is not None for each in found.values())
        why = self._referee.too_many(ties, compared) if ties else None
        if why is None:
            return found
        return {
            prompt: Judgement(DIFFERENT, each.at, why) if each.word == NEAR_TIE else each
            for prompt, each in found.items()
        }


def _at_once(suspect: Suspect, case: Case) -> Judgement | None:
    """Return the judgement of a difference that no logits can explain, else None."""
    why = suspect.end if case.is_judged else UNPROMISED
    return None if why is None else Judgement(DIFFERENT, suspect.found.at, why)


def _unjudged(suspect: Suspect, why: str) -> Judgement:
    return Judgement(NOT_JUDGED, suspect.found.at, why)


def _rank(judgement: Judgement) -> int:
    """Return the place of a judgement, the worst first."""
    return WORST_FIRST.index(judgement.word)


def first_place(run: Run, plain: Run) -> Place | None:
    """Return where the tokens of two runs of the same prompt first differ, None if nowhere."""
    before = 0
    for number, (ours, theirs) in enumerate(zip(run.turns, plain.turns, strict=True)):
        position = first_difference(ours.token_ids, theirs.token_ids)
        if position is not None:
            return Place(number, position, before + position)
        before += len(theirs.token_ids)
    return None

"""Checks of the output: whatever is drafted, it is plain decoding's."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from specframe import Row, Sampling, Stops, Target
from specframe.testing._check_result import Broken
from specframe.testing._hypothesis_strategies import oracles, token_sequences
from specframe.testing._oracle import CONTEXT, Forced, ForcedTarget, Oracle, plain
from specframe.testing._processors import fewer_repeats, likeliest_three
from specframe.testing._strategy_under_test import Session, Subject

LETTERS = "abcdefghijk"  # one a token
MOST_LEVELS = 6

samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.5, 1.0, 1.7]),
    processors=st.sampled_from([(), (likeliest_three,), (fewer_repeats, likeliest_three)]),
)


def check_greedy_output_equals_plain(subject: Subject) -> None:
    """Greedy output must equal plain decoding's, whatever is drafted."""

    @subject.for_all(oracles(), token_sequences(), st.integers(1, 12))
    def holds(oracle: Oracle, prompt: list[int], budget: int) -> None:
        stops = Stops(budget, CONTEXT)
        session = subject.open(oracle, [prompt], stops).run()
        expect_plain(session, plain(oracle, prompt, stops), f"{oracle!r}, prompt {prompt}")


def check_sampled_output_equals_plain(subject: Subject) -> None:
    """Sampled output must equal plain sampling's with the same seed, under verifier 'match'."""

    @subject.for_all(oracles(), token_sequences(), samplings, st.integers(0, 3))
    def holds(oracle: Oracle, prompt: list[int], sampling: Sampling, seed: int) -> None:
        stops = Stops(8, CONTEXT)
        session = subject.open(
            oracle, [prompt], stops, sampling=sampling, verifier="match", seeds=seed
        ).run()
        what = f"{oracle!r}, prompt {prompt}, seed {seed}, {sampling!r}"
        expect_plain(session, plain(oracle, prompt, stops, sampling, seed), what)


def check_every_accept_count(subject: Subject) -> None:
    """A draft of k levels must survive that 0, 1, ... or all k of them are accepted."""

    @subject.for_all(
        oracles(), token_sequences(), st.lists(st.integers(0, MOST_LEVELS), min_size=1, max_size=4)
    )
    def holds(oracle: Oracle, prompt: list[int], wanted: list[int]) -> None:
        stops = Stops(16, CONTEXT)
        forced = Forced(oracle)
        session = forced_session(subject, forced, prompt, stops, wanted).run()
        what = f"{oracle!r}, prompt {prompt}, levels to accept {wanted}"
        expect_plain(session, plain(forced, prompt, stops), what)
        assert isinstance(session.target, ForcedTarget)
        seen = [round.accepted for round in session.rounds[0][1:]]
        agreed = [agreed for (agreed,) in session.target.agreed]
        for accepted, levels in list(zip(seen, agreed, strict=True))[:-1]:
            if levels is not None and accepted != levels:
                raise Broken(
                    f"on {what} the target agreed to {agreed} levels and {seen} were accepted"
                )


def check_stops_inside_a_draft(subject: Subject) -> None:
    """EOS, budgets, criteria and stop strings must cut at any place inside an accepted path."""
    kinds = st.sampled_from(["eos", "budget", "context", "criteria", "string"])

    @subject.for_all(oracles(), token_sequences(), kinds, st.integers(1, 9))
    def holds(oracle: Oracle, prompt: list[int], kind: str, offset: int) -> None:
        forced = Forced(oracle)
        wanted = [MOST_LEVELS]
        first = forced_session(subject, forced, prompt, Stops(12, CONTEXT), wanted).run()
        spoken = first.everyone[0].new_tokens
        stops = _stops_at(kind, offset, len(prompt), spoken)
        session = forced_session(subject, forced, prompt, stops, wanted).run()
        what = f"{oracle!r}, prompt {prompt}, a stop by {kind} at new token {offset}"
        expect_plain(session, plain(forced, prompt, stops), what)


def forced_session(
    subject: Subject, forced: Forced, prompt: Sequence[int], stops: Stops, wanted: list[int]
) -> Session:
    """Open a decode in which the target accepts as many levels as is wanted."""

    def target(extra: int) -> Target:
        return ForcedTarget(forced, wanted, extra)

    return subject.open(forced, [prompt], stops, target=target)


def expect_plain(session: Session, theirs: Row, what: str) -> None:
    """Raise Broken unless a decode of one row says what plain decoding says."""
    (ours,) = session.everyone
    if (ours.new_tokens, ours.finish_reason) != (theirs.new_tokens, theirs.finish_reason):
        drafts = [round.draft_tokens for round in session.rounds[0][1:]]
        raise Broken(
            f"on {what} the drafts {drafts} led to {ours.new_tokens} ({ours.finish_reason}), "
            f"plain decoding says {theirs.new_tokens} ({theirs.finish_reason})"
        )


def _stops_at(kind: str, offset: int, prompt_length: int, spoken: list[int]) -> Stops:
    """Return stops that end a row which says ``spoken`` at new token ``offset`` at the latest."""
    length = prompt_length + offset
    text = _letters(spoken[:offset])
    return {
        "eos": Stops(12, CONTEXT, eos=frozenset(spoken[offset - 1 : offset])),
        "budget": Stops(offset, CONTEXT),
        "context": Stops(12, length),
        "criteria": Stops(12, CONTEXT, criteria=(lambda tokens: len(tokens) >= length,)),
        "string": Stops(12, CONTEXT, strings=(text[-3:],), decode=_letters),
    }[kind]


def _letters(tokens: Sequence[int]) -> str:
    return "".join(LETTERS[token] for token in tokens)

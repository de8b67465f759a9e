"""What people see: text as it is committed on stdout, statistics and notes on stderr."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

import attrs

if TYPE_CHECKING:
    from specframe._decoder import Result, Setup
    from specframe._round import RowRound

DRAFTED = "\x1b[32m"  # green: drafted and accepted
PLAIN = "\x1b[0m"


def is_terminal(stream: TextIO) -> bool:
    """Say whether ``stream`` is shown to a person."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def wants_colour(stream: TextIO) -> bool:
    """Say whether colour is welcome: on a terminal, unless NO_COLOR is set."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


@attrs.define
class TextWriter:
    """Write text as it comes, never taking anything back; owns the state of its line."""

    out: TextIO
    colour: bool = False
    has_begun: bool = attrs.field(default=False, init=False)

    def write(self, round: RowRound) -> None:
        """Write what a round committed: drafted and accepted pieces in colour."""
        for piece, drafted in round.pieces:
            coloured = self.colour and drafted and piece
            self.out.write(f"{DRAFTED}{piece}{PLAIN}" if coloured else piece)
            self.has_begun = True
        self.out.flush()

    def end(self, result: Result | None = None) -> None:
        """End the text with a line break; ``result`` is written whole before it."""
        if result is not None:
            self.out.write(result.text or "")
        self.out.write("\n")
        self.out.flush()


@attrs.frozen
class Notes:
    """Tell people on stderr what they did not ask for but want to know, unless ``quiet``."""

    quiet: bool = False

    def note(self, message: str) -> None:
        """Write one note."""
        self.lines([f"note: {message}"])

    def lines(self, lines: list[str]) -> None:
        """Write lines as they are."""
        if not self.quiet:
            tell("\n".join(lines))


def say(line: str) -> None:
    """Write a line on stdout."""
    sys.stdout.write(f"{line}\n")


def tell(line: str) -> None:
    """Write a line on stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def number(value: float | None, digits: int = 1) -> str:
    """Return a figure for people; null (0/0) is "n/a"."""
    return "n/a" if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """Return a share for people."""
    return "n/a" if value is None else f"{value:.1%}"


def statistics(result: Result, setup: Setup) -> list[str]:
    """Return the statistics of a result as lines for people."""
    metrics = result.metrics
    seconds = metrics.as_dict()["seconds"]
    reason = result.finish_reason or "interruption"
    parts = ("prefill", "draft", "verify", "other")
    split = ", ".join(f"{part} {number(seconds[part], 2)} s" for part in parts)
    rates = (
        f"{number(metrics.tokens_per_second)} tokens/s "
        f"({number(metrics.tokens_per_second_with_prefill)} with prefill)"
    )
    rounds = (
        f"{number(metrics.mean_acceptance_length, 2)} tokens a round over "
        f"{metrics.num_spec_steps} rounds; {percent(metrics.draft_acceptance_rate)} of "
        f"{metrics.num_draft_tokens} drafted tokens accepted"
    )
    names = f"strategy {setup.strategy}, verifier {setup.verifier}, stop policy {setup.stop_policy}"
    total = number(seconds["total"], 2)
    return [
        f"{metrics.num_new_tokens} tokens in {total} s: {rates}, finished by {reason}",
        rounds,
        f"time: {split}",
        f"{names}; {setup.model}, {setup.dtype} on {setup.device}",
    ]


def comparison(result: Result, setup: Setup) -> list[str]:
    """Return what ``--compare`` says: both rates, the speed-up, identity, the break-even line."""
    metrics, plain = result.metrics, result.metrics.plain
    needed = number(metrics.break_even_acceptance_length, 2)
    got = number(metrics.mean_acceptance_length, 2)
    speedup = "n/a" if metrics.speedup is None else f"{metrics.speedup:.2f}x"
    ours = f"{setup.strategy} {number(metrics.tokens_per_second)} tokens/s"
    return [
        f"{ours}, plain {number(plain.metrics.tokens_per_second)} tokens/s: {speedup}",
        "the tokens are identical" if metrics.identical else difference(result, plain),
        f"needs >= {needed} tokens a round at these costs; got {got}",
    ]


def difference(result: Result, plain: Result) -> str:
    """Name the first new token in which two results differ."""
    pairs = zip(result.token_ids, plain.token_ids, strict=False)
    for place, (ours, theirs) in enumerate(pairs):
        if ours != theirs:
            return f"the tokens differ, first at new token {place}: {ours}, plain has {theirs}"
    counts = f"{len(result.token_ids)} tokens, plain has {len(plain.token_ids)}"
    return f"the tokens differ in number: {counts}"

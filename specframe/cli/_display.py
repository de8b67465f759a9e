"""What people see: text as it is committed on stdout, statistics and notes on stderr."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, TextIO

import attrs

from specframe._words import first_difference, number, percent, times

if TYPE_CHECKING:
    from specframe import Result, RowRound, Setup
    from specframe._judging.findings import Report

DRAFTED = "\x1b[32m"  # green: drafted and accepted
PLAIN = "\x1b[0m"


def is_terminal(stream: TextIO) -> bool:
    """Say whether ``stream`` is shown to a person."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def wants_colour(stream: TextIO) -> bool:
    """Say whether colour is welcome: on a terminal, unless NO_COLOR is set."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def terminal_width() -> int:
    """Return the width of lines on stdout: the terminal's, and none to speak of in a pipe."""
    if not is_terminal(sys.stdout):
        return 10_000
    return shutil.get_terminal_size().columns


@attrs.define
class TextWriter:
    """Write text as it comes, never taking anything back; owns what has been written."""

    out: TextIO
    colour: bool = False
    written: str = attrs.field(default="", init=False)

    def write(self, round: RowRound) -> None:
        """Write what a round committed: drafted and accepted pieces in colour."""
        for piece, drafted in round.pieces:
            coloured = self.colour and drafted and piece
            self.out.write(f"{DRAFTED}{piece}{PLAIN}" if coloured else piece)
            self.written += piece
        self.out.flush()

    def end(self, result: Result | None = None) -> None:
        """Write the part of the result's text that is not written yet, and a line break.

        That is all of the text where nothing was shown live, and at a Ctrl-C what was held back.
        """
        text = (result.text or "") if result is not None else ""
        if text.startswith(self.written):
            self.out.write(text[len(self.written) :])
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


PROMISES = {
    "tokens": "lossless: the same tokens as plain decoding",
    "distribution": "lossless in distribution",
    "none": "LOSSY: it changes what the model says",
}


def statistics(result: Result, setup: Setup, *, is_sampled: bool = False) -> list[str]:
    """Return the statistics of a result as lines for people; the seed where it matters."""
    seconds = result.metrics.seconds
    parts = ("prefill", "draft", "verify", "other")
    split = ", ".join(f"{part} {number(seconds[part], 2)} s" for part in parts)
    names = (
        f"strategy {setup.strategy}, verifier {setup.verifier} ({PROMISES[setup.guarantee]}), "
        f"stop policy {setup.stop_policy}{f', seed {result.seed}' if is_sampled else ''}"
    )
    return [
        rate_line(result),
        rounds_line(result),
        f"time: {split}",
        f"{names}; {setup.model}, {setup.dtype} on {setup.device}{', exact' * setup.exact}",
    ]


def rate_line(result: Result) -> str:
    """Say how much was decoded, how fast, and what ended it."""
    metrics = result.metrics
    return (
        f"{metrics.num_new_tokens} tokens in {number(metrics.seconds['total'], 2)} s: "
        f"{number(metrics.tokens_per_second)} tokens/s "
        f"({number(metrics.tokens_per_second_with_prefill)} with prefill), "
        f"finished by {result.finish_reason or 'interruption'}"
    )


def rounds_line(result: Result) -> str:
    """Say what the rounds brought."""
    metrics = result.metrics
    accepted = (
        f"{percent(metrics.draft_acceptance_rate)} of {metrics.num_draft_tokens} "
        "drafted tokens accepted"
    )
    return (
        f"{number(metrics.mean_acceptance_length, 2)} tokens a round over "
        f"{metrics.num_spec_steps} rounds; "
        f"{accepted if metrics.num_draft_tokens else 'nothing was drafted'}"
    )


def comparison(
    result: Result, plain: Result, setup: Setup, report: Report | None = None
) -> list[str]:
    """Return what ``--compare`` says: both rates, the speed-up, identity, the break-even line.

    ``report`` says what a difference amounts to, where that was judged.
    """
    metrics = result.metrics
    needed = number(metrics.break_even_acceptance_length, 2)
    got = number(metrics.mean_acceptance_length, 2)
    ours = f"{setup.strategy} {number(metrics.tokens_per_second)} tokens/s"
    theirs = f"plain {number(plain.metrics.tokens_per_second)} tokens/s"
    return [
        f"{ours}, {theirs}: {times(metrics.speedup)}",
        "the tokens are identical"
        if metrics.identical
        else difference(result, plain, setup) + judgement(report),
        f"needs >= {needed} tokens a round at these costs; got {got}",
    ]


def judgement(report: Report | None) -> str:
    """Return what a difference amounts to, as the end of its sentence."""
    if report is None:
        return ""
    finding = report.prompts[0].finding
    if finding is None:
        return "; decoded once more they are identical, so the model's own arithmetic varies"
    if finding.reasons:
        return f": BUG, {'; '.join(finding.reasons)}"
    proof = finding.certificate
    assert proof is not None
    return (
        f": a NUMERIC TIE, float64 prefers one by {proof.gap:.2g}, noise bound "
        f"{2 * proof.bounds.reference:.2g}"
    )


def difference(result: Result, plain: Result, setup: Setup) -> str:
    """Name the first new token in which two results differ, and whether they may."""
    may = "" if setup.guarantee == "tokens" else f" (verifier {setup.verifier} promises no tokens)"
    place = first_difference(result.token_ids, plain.token_ids)
    if place is not None and place < min(len(result.token_ids), len(plain.token_ids)):
        ours, theirs = result.token_ids[place], plain.token_ids[place]
        return f"the tokens differ, first at new token {place}: {ours}, plain has {theirs}{may}"
    counts = f"{len(result.token_ids)} tokens, plain has {len(plain.token_ids)}"
    return f"the tokens differ in number: {counts}{may}"

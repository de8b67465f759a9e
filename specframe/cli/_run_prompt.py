"""Decode one prompt and show it: live, at the end, or as JSON."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import attrs

from specframe._errors import SpecframeError
from specframe._files import to_line
from specframe.cli._display import TextWriter, comparison, say, statistics, wants_colour
from specframe.cli._exit_code import FINE, INTERRUPTED, MISMATCH
from specframe.cli._json import result_object, versions
from specframe.cli._prompt import for_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from specframe import Decoder, Result, RowRound, Setup, Stream
    from specframe._judging.compare import Comparison
    from specframe._judging.findings import Report
    from specframe._trace import TraceFile
    from specframe.cli._display import Notes
    from specframe.cli._flags import Limits, Loading


@attrs.frozen(kw_only=True)
class Show:
    """What of a decode is shown, and how; ``chat=None`` leaves the template to the tokenizer.

    ``trace`` is the file that takes what every round did.
    """

    live: bool = True
    compare: bool = False
    json: bool = False
    chat: bool | None = None
    trace: Path | None = None


def run_prompt(text: str, loading: Loading, limits: Limits, show: Show, notes: Notes) -> int:
    """Decode ``text``, show it, and return the exit code."""
    notes.note(f"loading {loading.model or 'the demo model'}")
    with loading.open() as decoder:
        prompt = for_model(text, decoder.tokenizer, notes, chat=show.chat)
        stream = start(decoder, prompt, limits, show)
        writer = TextWriter(sys.stdout, wants_colour(sys.stdout))
        shown = writer if show.live and not show.json else None
        if show.trace is None:
            is_complete = follow(stream, shown)
        else:
            with traced(text, stream, decoder, limits, show.trace) as rounds:
                is_complete = follow(rounds, shown)
            notes.note(f"the trace is in {show.trace}")
        result, setup = stream.result, decoder.setup_at(limits.temperature)
        if show.json:
            say(to_line(result_object(text, result, setup), ascii_only=True))
        else:
            writer.end(result)
            notes.lines(statistics(result, setup, is_sampled=limits.temperature > 0))
        if not is_complete:
            notes.note("interrupted; above is what was decoded until then")
            return INTERRUPTED
        if not show.compare:
            return FINE
        report = judged(decoder, result, setup, limits)
        if not show.json:
            plain = cast("Comparison", stream).plain_result
            notes.lines(comparison(result, plain, setup, report))
        return exit_code(result, setup, report)


def start(
    decoder: Decoder, prompt: str | list[int], limits: Limits, show: Show
) -> Stream | Comparison:
    """Return the rounds of a decode, with plain decoding beside it if it is compared."""
    arguments = limits.arguments()
    if show.trace is not None:
        arguments["output_probs"] = True
    if not show.compare:
        return decoder.stream(prompt, **arguments)
    from specframe._judging import compare  # noqa: PLC0415 (imports torch)

    return compare.compare(decoder, prompt, **arguments)


@contextlib.contextmanager
def traced(
    text: str, stream: Stream | Comparison, decoder: Decoder, limits: Limits, path: Path
) -> Iterator[Iterator[RowRound]]:
    """Hand out the rounds of a decode, each written to its trace before it is shown.

    A trace that is interrupted ends with what was decoded.
    """
    from specframe import _trace  # noqa: PLC0415 (for those who trace)

    with _trace.TraceFile(path, decoder.tokenizer) as file:
        setup = decoder.setup_at(limits.temperature)
        described = {"limits": limits.arguments(), "versions": versions()}
        file.begin(text, stream.result, setup, described)
        yield recorded(stream, file)
        file.end(stream.result)


def recorded(rounds: Iterable[RowRound], file: TraceFile) -> Iterator[RowRound]:
    """Yield rounds, each after it was written."""
    for round in rounds:
        file.add(round)
        yield round


def follow(rounds: Iterable[RowRound], writer: TextWriter | None) -> bool:
    """Write rounds as they come; return whether all came (no Ctrl-C)."""
    try:
        for round in rounds:
            if writer is not None:
                writer.write(round)
    except KeyboardInterrupt:
        return False
    except SpecframeError:
        if writer is not None and writer.written:
            writer.end()
        raise
    return True


def judged(decoder: Decoder, result: Result, setup: Setup, limits: Limits) -> Report | None:
    """Return what a difference amounts to; None where there is none, or no tie excuses it.

    Exact mode rules out every difference, and a verifier that promises no tokens promises nothing.
    """
    if result.metrics.identical or setup.guarantee != "tokens" or setup.exact:
        return None
    from specframe._judging import compare  # noqa: PLC0415 (imports torch)

    return compare.judge(decoder, result, **limits.arguments())


def exit_code(result: Result, setup: Setup, report: Report | None = None) -> int:
    """Return what a comparison amounts to.

    Other tokens are a mismatch where they are promised, unless ``report`` finds a numeric tie.
    """
    is_tie = report is not None and report.word == "tie"
    promised = setup.guarantee == "tokens"
    return FINE if result.metrics.identical or not promised or is_tie else MISMATCH

"""Decode the prompts of a file into another: line by line; a rerun continues where a run ended."""

from __future__ import annotations

import secrets
import sys
import traceback
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from specframe._debug import is_debugging
from specframe._errors import InputError, SpecframeError
from specframe._files import is_same_file
from specframe._words import number
from specframe.cli._display import is_terminal
from specframe.cli._exit_code import FINE, INTERRUPTED, MISMATCH
from specframe.cli._output_file import OutputFile
from specframe.cli._prompt import for_model
from specframe.cli._prompt_file import read_prompt_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from specframe import Decoder, Result
    from specframe.cli._display import Notes
    from specframe.cli._flags import Limits, Loading
    from specframe.cli._prompt_file import PromptLine


@attrs.frozen
class FileJob:
    """What is read and written; ``chat=None`` leaves the template to the tokenizer."""

    prompts: Path
    output: Path
    chat: bool | None = None
    batch_size: int | None = None


@attrs.define
class Tally:
    """Add up the tokens and seconds of a run; owned by ``decode_lines``."""

    tokens: int = 0
    seconds: float = 0.0

    def add(self, records: list[dict[str, Any]]) -> None:
        """Take in the lines of prompts that were decoded together, in the time of the longest."""
        done = [record["metrics"] for record in records if "error" not in record]
        self.tokens += sum(metrics["num_new_tokens"] for metrics in done)
        self.seconds += max((metrics["seconds"]["total"] or 0.0 for metrics in done), default=0.0)

    def __str__(self) -> str:
        """Return it as people read it."""
        rate = self.tokens / self.seconds if self.seconds else None
        return f"{self.tokens} tokens in {self.seconds:.2f} s ({number(rate)} tokens/s)"


def run_file(job: FileJob, loading: Loading, limits: Limits, notes: Notes) -> int:
    """Decode the prompts that have no line in the output yet; return the exit code."""
    if is_same_file(job.output, job.prompts):
        raise InputError(f"--prompts and --output are the same file: {job.prompts}")
    lines = read_prompt_file(job.prompts)
    notes.note(f"loading {loading.model or 'the demo model'}")
    with loading.open() as decoder, ExitStack() as files:
        size = decoder.rows_together(job.batch_size or 1, len(lines))
        settings_now = settings(decoder, limits, chat=job.chat)
        output = files.enter_context(OutputFile.open(job.output, settings_now))
        ours = {line.id for line in lines}
        if standing := len(ours & output.done.keys()):
            notes.note(f"{standing} of {len(lines)} prompts are in {job.output} already")
        tally = Tally()
        try:
            decoding = Decoding(decoder, with_seed(limits, notes), job.chat, notes)
            decode_lines(lines, decoding, size, output, tally)
        except KeyboardInterrupt:
            done = len(ours & output.done.keys())
            notes.lines([f"{done} of {len(lines)} prompts are in {job.output}; {tally}"])
            notes.note("interrupted; the same command continues from there")
            return INTERRUPTED
        failed = sum(output.done[id] for id in ours)  # noqa: A001 (the key's name)
        notes.lines([f"{len(lines)} prompts, {failed} failed; {tally}"])
        return MISMATCH if failed else FINE


def with_seed(limits: Limits, notes: Notes) -> Limits:
    """Return limits that have a seed where one is needed; a note names a seed that was drawn."""
    if limits.temperature == 0 or limits.seed is not None:
        return limits
    drawn = secrets.randbits(31)
    notes.note(f"the seed is {drawn}: --seed {drawn} decodes the same again")
    return attrs.evolve(limits, seed=drawn)


def settings(decoder: Decoder, limits: Limits, *, chat: bool | None) -> dict[str, Any]:
    """Return what must not change between the runs that write one file."""
    setup = attrs.asdict(decoder.setup_at(limits.temperature))
    return setup | limits.arguments() | {"chat": chat is not False}


@attrs.frozen
class Decoding:
    """How the prompts of a file are decoded."""

    decoder: Decoder
    limits: Limits
    chat: bool | None
    notes: Notes

    def records(self, lines: list[PromptLine]) -> Iterator[list[dict[str, Any]]]:
        """Yield the output lines of prompts, in order, those together that were decoded together.

        A failure is a line as well. It must not cost the others, so a batch that fails is decoded
        once more, prompt by prompt.
        """
        failure = None
        try:
            done = [record_of(result) for result in self.results(lines)]
        except Exception as error:  # noqa: BLE001 (any fault becomes the line of its prompt)
            failure = record_of_failure(error)
        if failure is None:
            yield done
        elif len(lines) == 1:
            yield [failure]
        else:
            self.notes.note(
                f"{len(lines)} prompts failed together and are decoded one by one: "
                f"{failure['error']}"
            )
            for line in lines:
                yield from self.records([line])

    def results(self, lines: list[PromptLine]) -> list[Result]:
        """Decode prompts together; raises what goes wrong with any of them."""
        arguments = self.limits.arguments()
        arguments["max_new_tokens"] = [
            line.max_new_tokens or self.limits.max_new_tokens for line in lines
        ]
        prompts = [self.prompt_of(line) for line in lines]
        arguments["batch_size"] = len(lines)
        results: list[Result] = self.decoder.decode(prompts, **arguments)
        return results

    def prompt_of(self, line: PromptLine) -> str | list[int]:
        """Return what is decoded: token ids as they are, text through the chat template."""
        if isinstance(line.prompt, str):
            return for_model(line.prompt, self.decoder.tokenizer, self.notes, chat=self.chat)
        return line.prompt


def record_of(result: Result) -> dict[str, Any]:
    """Return a result as an output line, but for its id."""
    return {
        "token_ids": result.token_ids,
        "text": result.text,
        "finish_reason": result.finish_reason,
        "metrics": result.metrics.as_dict(),
    }


def record_of_failure(error: Exception) -> dict[str, Any]:
    """Return what went wrong as an output line, but for its id."""
    if is_debugging():
        traceback.print_exception(error)
    if isinstance(error, SpecframeError):
        return {"error": str(error)}
    return {"error": f"{type(error).__name__}: {error}"}


def decode_lines(
    lines: list[PromptLine], decoding: Decoding, batch_size: int, output: OutputFile, tally: Tally
) -> None:
    """Decode, in order, every prompt whose id is not done, and add its line."""
    waiting = [line for line in lines if line.id not in output.done]
    with progress(len(lines), decoding.notes) as advance:
        advance(len(lines) - len(waiting))
        for start in range(0, len(waiting), batch_size):
            together = waiting[start : start + batch_size]
            ids = iter([line.id for line in together])
            for records in decoding.records(together):
                tally.add(records)
                for record in records:
                    output.add(next(ids), record)
                    advance(1)


@contextmanager
def progress(total: int, notes: Notes) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, and nothing elsewhere; yields what advances it."""
    if notes.quiet or not is_terminal(sys.stderr):
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 (only a terminal pays for it)
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("prompts"), *Progress.get_default_columns()[1:2], MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("prompts", total=total)
        yield lambda count: bar.advance(task, count)

"""Decode the prompts of a file into another: line by line, going on where a run ended."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from specframe._errors import InputError, SpecframeError
from specframe.cli._display import is_terminal, number
from specframe.cli._exit_code import FINE, INTERRUPTED, MISMATCH
from specframe.cli._output_file import OutputFile
from specframe.cli._prompt import for_model
from specframe.cli._prompt_file import read_prompt_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from specframe import Decoder, Setup
    from specframe.cli._display import Notes
    from specframe.cli._flags import Limits, Loading
    from specframe.cli._prompt_file import PromptLine


@attrs.frozen
class Job:
    """What is read and written; ``chat=None`` leaves the template to the tokenizer."""

    prompts: Path
    output: Path
    chat: bool | None = None


@attrs.define
class Tally:
    """Add up the tokens and seconds of a run; owned by ``decode_lines``."""

    tokens: int = 0
    seconds: float = 0.0

    def add(self, metrics: dict[str, Any]) -> None:
        """Take in the metrics of one prompt."""
        self.tokens += metrics["num_new_tokens"]
        self.seconds += metrics["seconds"]["total"] or 0.0

    def __str__(self) -> str:
        """Say it to people."""
        rate = self.tokens / self.seconds if self.seconds else None
        return f"{self.tokens} tokens in {self.seconds:.2f} s ({number(rate)} tokens/s)"


def run_file(job: Job, loading: Loading, limits: Limits, notes: Notes) -> int:
    """Decode the prompts that have no line in the output yet; return the exit code."""
    if job.output.resolve() == job.prompts.resolve():
        raise InputError(f"--prompts and --output are the same file: {job.prompts}")
    lines = read_prompt_file(job.prompts)
    notes.note(f"loading {loading.model or 'the demo model'}")
    with (
        loading.open() as decoder,
        OutputFile.open(job.output, settings(decoder.setup, limits, chat=job.chat)) as output,
    ):
        ours = {line.id for line in lines}
        if standing := len(ours & output.done.keys()):
            notes.note(f"{standing} of {len(lines)} prompts stand in {job.output} already")
        tally = Tally()
        try:
            decode_lines(lines, decoder, Decoding(limits, job.chat, notes), output, tally)
        except KeyboardInterrupt:
            done = len(ours & output.done.keys())
            notes.lines([f"{done} of {len(lines)} prompts are in {job.output}; {tally}"])
            notes.note("interrupted; the same command goes on from there")
            return INTERRUPTED
        failed = sum(output.done[id] for id in ours)  # noqa: A001 (the key's name)
        notes.lines([f"{len(lines)} prompts, {failed} failed; {tally}"])
        return MISMATCH if failed else FINE


def settings(setup: Setup, limits: Limits, *, chat: bool | None) -> dict[str, Any]:
    """Return what must not change between the runs that write one file."""
    return attrs.asdict(setup) | limits.arguments() | {"chat": chat is not False}


@attrs.frozen
class Decoding:
    """How each prompt of a file is decoded."""

    limits: Limits
    chat: bool | None
    notes: Notes

    def record(self, line: PromptLine, decoder: Decoder) -> dict[str, Any]:
        """Decode a prompt and return its output line; a failure is a line as well."""
        arguments = self.limits.arguments()
        if line.max_new_tokens is not None:
            arguments["max_new_tokens"] = line.max_new_tokens
        prompt = line.prompt
        try:
            if isinstance(prompt, str):
                prompt = for_model(prompt, decoder.tokenizer, self.notes, chat=self.chat)
            result = decoder.decode(prompt, **arguments)
        except SpecframeError as error:
            return {"error": str(error)}
        except Exception as error:  # noqa: BLE001 (one prompt must not cost the others)
            if os.environ.get("SPECFRAME_DEBUG") == "1":
                traceback.print_exc()
            return {"error": f"{type(error).__name__}: {error}"}
        return {
            "token_ids": result.token_ids,
            "text": result.text,
            "finish_reason": result.finish_reason,
            "metrics": result.metrics.as_dict(),
        }


def decode_lines(
    lines: list[PromptLine],
    decoder: Decoder,
    decoding: Decoding,
    output: OutputFile,
    tally: Tally,
) -> None:
    """Decode, in order, every prompt whose id is not done, and add its line."""
    with progress(len(lines), decoding.notes) as advance:
        for line in lines:
            if line.id not in output.done:
                record = decoding.record(line, decoder)
                output.add(line.id, record)
                if "error" not in record:
                    tally.add(record["metrics"])
            advance()


@contextmanager
def progress(total: int, notes: Notes) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal, and nothing elsewhere; yields what moves it by one."""
    if notes.quiet or not is_terminal(sys.stderr):
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 (only a terminal pays for it)
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("prompts"), *Progress.get_default_columns()[1:2], MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("prompts", total=total)
        yield lambda: bar.advance(task)

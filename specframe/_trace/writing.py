"""Write a trace while a decode runs: line by line, or as a page at its end."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import attrs

from specframe._errors import InputError
from specframe._files import Lines, to_line, write_atomically
from specframe._trace.page import render_trace
from specframe._trace.reading import trace_of
from specframe._trace.records import SCHEMA, End, Header, RoundRecord
from specframe._trace.token_texts import TokenTexts

if TYPE_CHECKING:
    from specframe import Result, RowRound, Setup

PAGE, RECORDS = ".html", ".jsonl"
IN_FORCE = (
    "strategy",
    "options",
    "verifier",
    "stop_policy",
    "guarantee",
    "model",
    "dtype",
    "device",
    "exact",
)


def check_path(path: Path) -> None:
    """Raise InputError unless ``path`` can take a trace, before anything is decoded."""
    if path.suffix not in {PAGE, RECORDS}:
        raise InputError(f"--trace is '{path}': name a file that ends in {PAGE} or {RECORDS}")
    if not path.parent.is_dir():
        raise InputError(f"--trace is '{path}', and there is no folder {path.parent}: make it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"--trace is '{path}', which cannot be written: name another file")
    if path.is_dir():
        raise InputError(f"--trace is '{path}', which is a folder: name a file")


class TraceFile:
    """Own the file of one decode; ``add`` every round, the prefill first, then ``end``.

    Lines are written as they come, so that an interrupted decode leaves what it did. A page is
    written completely, by ``end``, or not at all.
    """

    def __init__(self, path: Path, tokenizer: Any) -> None:
        """Open ``path``, which ``check_path`` has accepted; an old file is replaced."""
        self._path = path
        self._tokenizer = tokenizer
        self._texts: TokenTexts | None = None
        self._kept: list[str] = []  # for a page
        self._rounds = 0
        self._lines = Lines(path) if path.suffix == RECORDS else None

    def begin(
        self, prompt: str, result: Result, setup: Setup, described: Mapping[str, Any]
    ) -> None:
        """Write the header; ``result`` has no rounds yet, ``described`` are limits and versions."""
        header = header_of(prompt, result, setup, described)
        if self._tokenizer is not None:
            self._texts = TokenTexts(self._tokenizer, header.prompt_token_ids)
        self._write("header", attrs.asdict(header))

    def add(self, round: RowRound) -> None:
        """Write a round."""
        record = record_of(self._rounds, round, self._texts)
        self._rounds += 1
        self._write("round", attrs.asdict(record))

    def end(self, result: Result) -> None:
        """Write how the decode ended, or the page."""
        end = End(finish_reason=result.finish_reason, metrics=result.metrics.as_dict())
        self._write("end", attrs.asdict(end))
        if self._lines is None:
            trace = trace_of([json.loads(line) for line in self._kept], str(self._path))
            write_atomically(self._path, render_trace(trace))

    def _write(self, kind: str, record: dict[str, Any]) -> None:
        line = to_line({"kind": kind, **record}, ascii_only=True)
        if self._lines is None:
            self._kept.append(line)
        else:
            self._lines.append([line])

    def __enter__(self) -> Self:
        """Return the file itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        if self._lines is not None:
            self._lines.close()


def header_of(prompt: str, result: Result, setup: Setup, described: Mapping[str, Any]) -> Header:
    """Return the header of a decode; ``prompt`` as it was typed."""
    return Header(
        schema=SCHEMA,
        prompt=prompt,
        prompt_token_ids=result.prompt_token_ids,
        seed=result.seed,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        **{name: getattr(setup, name) for name in IN_FORCE},
        **described,
    )


def record_of(number: int, round: RowRound, texts: TokenTexts | None) -> RoundRecord:
    """Return a round with the text of every token in it."""
    paths: list[list[int]] = []
    for token, parent in zip(round.draft_tokens, round.draft_parents, strict=True):
        paths.append([*([] if parent < 0 else paths[parent]), token])
    drafted = said = committed = None
    if texts is not None:
        drafted = [texts.after(path) for path in paths]
        said = [
            texts.after([*path, token])
            for path, token in zip([[], *paths], round.target_tokens, strict=False)
        ]
        committed = texts.commit(round.committed, is_last=round.finish_reason is not None)
    is_prefill = number == 0
    return RoundRecord(
        round=number,
        draft_tokens=round.draft_tokens,
        draft_parents=round.draft_parents,
        draft_texts=drafted,
        draft_confidences=_kept(round.draft_confidences),
        draft_p=_kept(round.draft_p),
        draft_q=_kept(round.draft_q),
        target_tokens=round.committed if is_prefill else round.target_tokens,
        target_texts=committed if is_prefill else said,
        path=[node - 1 for node in round.path],
        committed=round.committed,
        committed_texts=committed,
        committed_p=_kept(round.committed_p),
        seconds=round.seconds,
    )


def _kept(values: Sequence[float | None] | None) -> list[float | None] | None:
    return None if values is None else list(values)

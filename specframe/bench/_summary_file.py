"""summary.csv: one row for each strategy and task, for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import attrs

from specframe._files import plain, to_line, write_atomically
from specframe.bench._records import TIME_PARTS, Summary, as_record


def write_summary(rows: Sequence[Summary], path: Path) -> None:
    """Write the rows; a list or a table is JSON in its cell, null is an empty cell."""
    names = [field.name for field in attrs.fields(Summary) if field.name != "seconds"]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*names, *(f"seconds_{part}" for part in TIME_PARTS)])
    for row in rows:
        record = as_record(row)
        cells = [record[name] for name in names]
        writer.writerow(map(_cell, [*cells, *(row.seconds.get(part) for part in TIME_PARTS)]))
    write_atomically(path, text.getvalue())


def _cell(value: object) -> object:
    value = plain(value)
    if isinstance(value, dict | list):
        return to_line(value)
    return "" if value is None else value

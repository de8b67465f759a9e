"""Write ``report.html``: one page that needs neither network nor scripts."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import jinja2

from specframe._files import write_atomically
from specframe._pages import STYLES
from specframe.bench._records import TIME_PARTS, Header, Results
from specframe.bench.report._charts import (
    histogram_figures,
    position_figures,
    seconds_figures,
    speedup_figures,
    theory_figures,
)
from specframe.bench.report._results_by_strategy import (
    ReportedStrategy,
    read_strategies,
    read_tasks,
)
from specframe.bench.report._table import (
    COLUMNS,
    explanations,
    position_rows,
    split_rows,
    summary_rows,
)
from specframe.bench.report._words import moment, printable, typed

TEMPLATES = (Path(__file__).parent / "templates", STYLES)
NAME = "report.html"


def write_report(results: Results, folder: Path) -> Path:
    """Write the page of ``results`` and return its path.

    The file is there as a whole or not at all. The page leaves out what results leave out.
    """
    path = folder / NAME
    write_atomically(path, render_report(results))
    return path


def render_report(results: Results) -> str:
    """Return the page; what results hold is escaped, and a policy forbids all other scripts."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    strategies, tasks = read_strategies(results), read_tasks(results)
    page = environment.get_template(NAME).render(
        _heading(results.header)
        | _figures(strategies, tasks)
        | _tables(strategies, tasks)
        | {
            "facts": _facts(results),
            "strategies": strategies,
            "failures": [run for run in results.runs if run.error],
            "script_hash": _hash(environment, "report.js"),
        }
    )
    return printable(page)


def _heading(header: Header) -> dict[str, object]:
    """Return what was run, where and how."""
    settings, environment = header.settings, header.environment
    return {
        "command": shlex.join(header.command),
        "model": settings.model or "unnamed model",
        "settings": _known(_fields(settings, "prompts")) | _known(_fields(settings.prompts)),
        "environment": _known(_fields(environment, "versions")),
        "versions": _known(environment.versions),
    }


def _facts(results: Results) -> list[tuple[str, str]]:
    """Return the few facts of the heading that are known."""
    settings, environment = results.header.settings, results.header.environment
    facts: list[tuple[str, object]] = [
        ("started", moment(results.header.created)),
        ("finished", moment(results.finished)),
        ("machine", environment.processor or environment.machine),
        ("cores, threads", f"{environment.cores}, {environment.threads}"),
        ("device", environment.device or settings.device),
        ("dtype", settings.dtype),
        ("prompts", settings.prompts.count),
        ("new tokens", settings.max_new_tokens),
        ("temperature", settings.temperature),
        ("repeats", settings.repeats),
    ]
    return [(name, text) for name, value in facts if (text := typed(value))]


def _fields(record: attrs.AttrsInstance, left_out: str = "") -> dict[str, object]:
    """Return the fields of a record, but for one that is shown elsewhere."""
    fields = attrs.asdict(record, recurse=False)
    return {name: value for name, value in fields.items() if name != left_out}


def _known(values: Mapping[str, object]) -> dict[str, str]:
    """Return the entries that hold something."""
    texts = {name.replace("_", " "): typed(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text}


def _figures(strategies: Sequence[ReportedStrategy], tasks: Sequence[str]) -> dict[str, object]:
    return {
        "speedups": speedup_figures(strategies, tasks),
        "by_position": position_figures(strategies),
        "histograms": histogram_figures(strategies),
        "seconds": seconds_figures(strategies),
        "theory": theory_figures(strategies),
    }


def _tables(strategies: Sequence[ReportedStrategy], tasks: Sequence[str]) -> dict[str, object]:
    positions = position_rows(strategies)
    return {
        "columns": COLUMNS,
        "rows": summary_rows(strategies, tasks),
        "parts": TIME_PARTS,
        "split_rows": split_rows(strategies),
        "explanations": explanations(strategies),
        "positions": positions,
        "places": list(dict.fromkeys(place for row in positions for place in row.reached)),
    }


def _hash(environment: jinja2.Environment, name: str) -> str:
    """Return what the page's policy knows its one script by."""
    script = environment.get_template(name).render()
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

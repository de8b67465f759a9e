"""Write ``report.html``: one page that needs neither network nor scripts."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from specframe._files import write_atomically
from specframe._pages import STYLES
from specframe.bench.report._charts import (
    histogram_figures,
    position_figures,
    seconds_figures,
    speedup_figures,
    theory_figures,
)
from specframe.bench.report._results import PARTS, Strategy, read_strategies, read_tasks
from specframe.bench.report._table import COLUMNS, position_rows, split_rows, summary_rows, verdicts
from specframe.bench.report._values import Values, words
from specframe.bench.report._words import moment

TEMPLATES = (Path(__file__).parent / "templates", STYLES)
NAME = "report.html"


def write_report(results: Mapping[str, object], folder: Path) -> Path:
    """Write the page of ``results`` (docs/benchmark-format.md) and return its path.

    The file is there as a whole or not at all. Whatever results leave out, the page leaves out.
    """
    path = folder / NAME
    write_atomically(path, render_report(results))
    return path


def render_report(results: Mapping[str, object]) -> str:
    """Return the page; what results hold is escaped, and a policy forbids all other scripts."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    values = Values(results)
    strategies, tasks = read_strategies(values), read_tasks(values)
    return environment.get_template(NAME).render(
        _heading(values)
        | _figures(strategies, tasks)
        | _tables(strategies, tasks)
        | {
            "strategies": strategies,
            "failures": failed_runs(values),
            "script_hash": _hash(environment, "report.js"),
        }
    )


def failed_runs(results: Values) -> list[dict[str, str]]:
    """Return strategy, prompt, repeat and error of each run that failed."""
    return [
        {key: run.text(key) for key in ("strategy", "prompt", "repeat", "error")}
        for run in results.items("runs")
        if run.text("error")
    ]


def _heading(results: Values) -> dict[str, object]:
    """Return what was run, where, when and how."""
    settings, environment = results.values("settings"), results.values("environment")
    return {
        "command": shlex.join(words(each) for each in results.sequence("command")),
        "model": settings.text("model") or "unnamed model",
        "facts": _facts(results),
        "settings": _known(settings, "prompts") | _known(settings.values("prompts")),
        "environment": _known(environment, "versions"),
        "versions": _known(environment.values("versions")),
    }


def _facts(results: Values) -> list[tuple[str, str]]:
    """Return the few facts of the heading that are known."""
    settings, environment = results.values("settings"), results.values("environment")
    cores, threads = environment.text("cores"), environment.text("threads")
    facts = [
        ("started", moment(results.text("created"))),
        ("finished", moment(results.text("finished"))),
        ("machine", environment.text("processor") or environment.text("machine")),
        ("cores, threads", f"{cores or '?'}, {threads or '?'}" if cores or threads else ""),
        ("device", environment.text("device") or settings.text("device")),
        ("dtype", settings.text("dtype")),
        ("prompts", settings.values("prompts").text("count")),
        ("new tokens", settings.text("max_new_tokens")),
        ("temperature", settings.text("temperature")),
        ("repeats", settings.text("repeats")),
    ]
    return [(name, value) for name, value in facts if value]


def _known(values: Values, left_out: str = "") -> dict[str, str]:
    """Return the entries that hold something, but for one that is shown by itself."""
    texts = values.texts().items()
    return {key.replace("_", " "): text for key, text in texts if text and key != left_out}


def _figures(strategies: Sequence[Strategy], tasks: Sequence[str]) -> dict[str, object]:
    return {
        "speedups": speedup_figures(strategies, tasks),
        "by_position": position_figures(strategies),
        "histograms": histogram_figures(strategies),
        "seconds": seconds_figures(strategies),
        "theory": theory_figures(strategies),
    }


def _tables(strategies: Sequence[Strategy], tasks: Sequence[str]) -> dict[str, object]:
    positions = position_rows(strategies)
    return {
        "columns": COLUMNS,
        "rows": summary_rows(strategies, tasks),
        "parts": PARTS,
        "split_rows": split_rows(strategies),
        "verdicts": verdicts(strategies),
        "positions": positions,
        "places": list(dict.fromkeys(place for row in positions for place in row.reached)),
    }


def _hash(environment: jinja2.Environment, name: str) -> str:
    """Return what the page's policy knows its one script by."""
    script = environment.get_template(name).render()
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

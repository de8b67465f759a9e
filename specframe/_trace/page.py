"""Build the page of a trace, or of two: one file that needs no network.

A trace's page is its lines: ``--trace run.html`` goes through the same records as reading a file
does, so there is one reader, and it checks what it reads.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from specframe._errors import InputError
from specframe._files import to_line
from specframe._pages import STYLES
from specframe._trace.figures import ShareBar, facts_of, histogram, settings_of, time_split
from specframe._trace.records import RoundRecord, Trace
from specframe._trace.round_strip import draw_strip
from specframe._trace.tokens import KINDS, Token, chunks_of, counts_of, tokens_of
from specframe._trace.visible_text import named, shown
from specframe._words import first_difference

if TYPE_CHECKING:
    import jinja2

TEMPLATES = (Path(__file__).parent / "templates", STYLES)
DIGITS = 5  # of probabilities and seconds in the page


@attrs.frozen
class Panel:
    """Hold what the page shows of one trace."""

    name: str
    tokens: list[Token]
    chunks: list[list[Token]]
    counts: dict[str, int]
    facts: dict[str, str]
    settings: dict[str, dict[str, str]]
    histogram: list[ShareBar]
    times: list[ShareBar]
    strip: str


def render_trace(trace: Trace) -> str:
    """Return the page of one trace; all that it holds is escaped."""
    return _render([trace], [""], None)


def render_comparison(traces: tuple[Trace, Trace], names: tuple[str, str]) -> str:
    """Return the page of two traces of one prompt, the first difference marked.

    Raises InputError where the prompts differ.
    """
    one, other = (trace.header.prompt_token_ids for trace in traces)
    if one != other:
        raise InputError(
            f"{names[0]} and {names[1]} are traces of different prompts: trace the same prompt "
            "twice to compare"
        )
    return _render(traces, names, first_difference(*(trace.token_ids for trace in traces)))


def _render(traces: Sequence[Trace], names: Sequence[str], difference: int | None) -> str:
    environment = _environment()
    panels = [
        _panel(f"trace-{at}", name, trace, difference)
        for at, (name, trace) in enumerate(zip(names, traces, strict=True))
    ]
    data = [_data(trace) for trace in traces]
    return environment.get_template("trace.html").render(
        panels=panels,
        prompt=shown(traces[0].header.prompt or ""),
        prompt_tokens=len(traces[0].header.prompt_token_ids),
        kinds=KINDS,
        difference=difference,
        data=_as_script(data),
        script_hash=_hash(environment, "trace.js"),
    )


def _panel(identity: str, name: str, trace: Trace, difference: int | None) -> Panel:
    tokens, rounds = tokens_of(trace, difference), trace.rounds[1:]
    return Panel(
        name=shown(name),
        tokens=tokens,
        chunks=list(chunks_of(tokens)),
        counts=counts_of(tokens),
        facts={key: shown(value) for key, value in facts_of(trace).items()},
        settings={
            title: {shown(key): shown(value) for key, value in table.items()}
            for title, table in settings_of(trace.header).items()
        },
        histogram=histogram(rounds),
        times=time_split(trace.rounds),
        strip=draw_strip(identity, rounds),
    )


def _data(trace: Trace) -> dict[str, Any]:
    """Return what the page's script builds details from; the names are short, there are many."""
    return {
        "prompt": len(trace.header.prompt_token_ids),
        "rounds": [_round(round) for round in trace.rounds],
    }


def _round(round: RoundRecord) -> dict[str, Any]:
    return {
        "draft": round.draft_tokens,
        "texts": _names(round.draft_texts, round.draft_tokens),
        "parents": round.draft_parents,
        "confidence": _short(round.draft_confidences),
        "p": _short(round.draft_p),
        "q": _short(round.draft_q),
        "target": round.target_tokens,
        "targetTexts": _names(round.target_texts, round.target_tokens),
        "path": round.path,
        "new": round.committed,
        "newTexts": _names(round.committed_texts, round.committed),
        "newP": _short(round.committed_p),
        "seconds": {part: _rounded(spent) for part, spent in round.seconds.items()},
    }


def _names(texts: Sequence[str] | None, tokens: Sequence[int]) -> list[str]:
    if texts is None:
        return [named(None, token) for token in tokens]
    return [named(text, token) for text, token in zip(texts, tokens, strict=True)]


def _short(values: Sequence[float | None] | None) -> list[float | None] | None:
    return None if values is None else [None if each is None else _rounded(each) for each in values]


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _as_script(data: object) -> str:
    """Return JSON that no HTML parser takes for markup."""
    text = to_line(data)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _environment() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415 (the command line lists its commands without it)

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _hash(environment: jinja2.Environment, name: str) -> str:
    """Return the hash by which the page's policy admits its one script."""
    script = environment.get_template(name).render()
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

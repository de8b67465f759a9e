"""What ``specframe check`` prints: a table and sentences, or one JSON object."""

from __future__ import annotations

import shlex
import statistics
from typing import TYPE_CHECKING, Any

import attrs

from specframe._words import counted
from specframe.cli._display import say
from specframe.cli._json import SCHEMA, versions
from specframe.cli._strategies import print_table

if TYPE_CHECKING:
    from specframe import Setup
    from specframe._judging.findings import Finding, PromptCheck, Report
    from specframe.cli._flags import Limits, Loading
    from specframe.cli._prompt_file import PromptLine

WORDS = {"identical": "identical", "tie": "NUMERIC TIE", "bug": "BUG"}
LONGEST_NAME = 40


@attrs.frozen
class Context:
    """Hold what was asked for and what was in force."""

    lines: list[PromptLine]
    loading: Loading
    limits: Limits
    setup: Setup


def check_lines(report: Report, context: Context) -> None:
    """Print a row for each prompt, then what it amounts to, and how to see each bug again."""
    header = ("prompt", "tokens", "result", "at", "token", "plain", "gap", "noise bound")
    pairs = list(zip(context.lines, report.prompts, strict=True))
    print_table(header, [table_row(line, prompt) for line, prompt in pairs])
    say("")
    for line, prompt in pairs:
        if prompt.finding is not None and prompt.word == "bug":
            say(f"BUG in prompt {name_of(line)}, {sentence(prompt.finding)}")
            say(f"  {repro(line, prompt, prompt.finding, context)}")
    say(counts(report))
    say(noise(report))
    setup, limits = context.setup, context.limits
    say(
        f"strategy {setup.strategy}, verifier {setup.verifier}, stop policy {setup.stop_policy}; "
        f"{setup.model}, {setup.dtype} on {setup.device}; temperature {limits.temperature:g}, "
        f"seed {limits.seed}"
    )
    say(outcome(report))


def table_row(line: PromptLine, prompt: PromptCheck) -> tuple[str, ...]:
    """Return what came of one prompt as cells."""
    found = prompt.finding
    start = (name_of(line), str(prompt.compared), WORDS[prompt.word])
    if found is None:
        return *start, "", "", "", "", ""
    tokens = ("-" if token is None else str(token) for token in (found.token, found.plain_token))
    proof = found.certificate
    gap = "" if found.gap is None else f"{found.gap:.2g}"
    bound = "" if proof is None else f"{2 * proof.bounds.reference:.2g}"
    return *start, str(found.position), *tokens, gap, bound


def name_of(line: PromptLine) -> str:
    """Return the prompt's id, cut to what a table can show."""
    name = str(line.id)
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."


def sentence(found: Finding) -> str:
    """Say where a prompt differs, and why that is a bug."""
    where = f"new token {found.position}"
    if found.token is not None and found.plain_token is not None:
        where += f" ({found.token}, plain has {found.plain_token})"
    gap = "" if found.gap is None else f" (gap {found.gap:.2g})"
    return f"{where}: {'; '.join(found.reasons)}{gap}"


def counts(report: Report) -> str:
    """Say how much was compared and how often it differs."""
    differing = report.differences
    rate = f", one in {report.compared / differing:.0f} tokens" if differing else ""
    return (
        f"{counted(len(report.prompts), 'prompt')}, {report.compared} tokens compared, "
        f"{counted(differing, 'difference')}{rate}"
    )


def noise(report: Report) -> str:
    """Say how far the logits of agreeing tokens are apart, and what bounds that gives."""
    if not report.noise:
        return "no rows to measure the noise on"
    middle, most = statistics.median(report.noise), report.noise[-1]
    said = f"logits of equal tokens differ by {middle:.2g} (median), {most:.2g} (most)"
    bounds = report.bounds
    if bounds is None:
        return said
    return (
        f"{said}: bound {bounds.runs:.2g} from {bounds.rows} rows, and {bounds.reference:.2g} "
        f"to float64 from {bounds.reference_rows}"
    )


def outcome(report: Report) -> str:
    """Return the verdict on the whole."""
    if report.word == "identical":
        return "identical: the strategy says what plain decoding says"
    if report.word == "tie":
        return "NUMERIC TIE: rounding explains every difference"
    return f"BUG: {report.reason or 'no rounding explains this'}"


def repro(line: PromptLine, prompt: PromptCheck, found: Finding, context: Context) -> str:
    """Return a command that shows both ways of decoding up to the difference.

    The budget is the run's own: near its end drafts are shorter, and a bug may hide.
    """
    loading, limits = attrs.asdict(context.loading), context.limits
    model = loading.pop("model")
    absent: tuple[object, ...] = (None, "auto", False, {})
    given = {name: value for name, value in loading.items() if value not in absent}
    arguments = {
        "max_new_tokens": line.max_new_tokens or limits.max_new_tokens,
        "temperature": limits.temperature,
        "seed": limits.seed,
    }
    shown = f"x.token_ids[:{found.position + 1}], x.finish_reason"
    if found.token is not None and found.token == found.plain_token:
        arguments["output_logits"] = True
        shown = f"x.logits[{found.position}]"
    code = (
        f"import specframe; d = specframe.load({calling(model, given)}); "
        f"r = [x.decode({calling(prompt.prompt_token_ids, arguments)}) for x in (d, d.plain())]; "
        f"print(*(({shown}) for x in r), sep='\\n')"
    )
    return shlex.join(["python", "-c", code])


def calling(first: object, named: dict[str, Any]) -> str:
    """Return arguments as they are written in a call."""
    return ", ".join([repr(first), *(f"{name}={value!r}" for name, value in named.items())])


def check_object(report: Report, context: Context) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    setup, limits, bounds = context.setup, context.limits, report.bounds
    pairs = zip(context.lines, report.prompts, strict=True)
    return {
        "schema": SCHEMA,
        "verdict": report.word,
        "reason": report.reason,
        **attrs.asdict(setup),
        "temperature": limits.temperature,
        "max_new_tokens": limits.max_new_tokens,
        "seed": limits.seed,
        "versions": versions(),
        "num_compared_tokens": report.compared,
        "num_differences": report.differences,
        "difference_rate": report.differences / report.compared if report.compared else None,
        "noise": {
            "median": statistics.median(report.noise) if report.noise else None,
            "max": report.noise[-1] if report.noise else None,
            "bounds": None if bounds is None else attrs.asdict(bounds),
        },
        "prompts": [prompt_object(line, prompt, context) for line, prompt in pairs],
    }


def prompt_object(line: PromptLine, prompt: PromptCheck, context: Context) -> dict[str, Any]:
    """Return what came of one prompt for ``--json``."""
    found = prompt.finding
    return {
        "id": line.id,
        "verdict": prompt.word,
        "num_prompt_tokens": len(prompt.prompt_token_ids),
        "num_compared_tokens": prompt.compared,
        "finding": None if found is None else attrs.asdict(found),
        "repro": None if found is None else repro(line, prompt, found, context),
    }

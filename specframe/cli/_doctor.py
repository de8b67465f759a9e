"""``specframe doctor``: what is there, what would be refused, and what to do about it."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from specframe._errors import InputError
from specframe._files import to_line
from specframe._plugins.discovery import load_registry
from specframe.cli import _completions, _flags
from specframe.cli._display import Notes, say, terminal_width
from specframe.cli._exit_code import FAULT, FINE
from specframe.cli._json import SCHEMA, versions

if TYPE_CHECKING:
    from specframe._doctor.machine import Observation

WORDS = {"fine": "ok", "note": "note", "refused": "REFUSED"}
StrategyFlag = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="look at this strategy alone; absent: at all, with their defaults",
        autocompletion=_completions.strategies,
    ),
]


def doctor(  # noqa: PLR0913 (one parameter a flag)
    *,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="look at a model as well, a folder or a hub id; demo: the demo model",
        ),
    ] = None,
    strategy: StrategyFlag = None,
    option: _flags.Pairs = None,
    draft_model: _flags.DraftModel = None,
    verifier: _flags.VerifierName = None,
    stop_policy: _flags.StopPolicyName = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="see whether exact mode admits the model")
    ] = False,
    dtype: _flags.DtypeFlag = "auto",
    device: _flags.DeviceFlag = "auto",
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    trust_remote_code: _flags.TrustRemoteCode = False,
    revision: _flags.Revision = None,
) -> int:
    """Look at installation, devices, plug-ins and a model; say what would be refused, and why."""
    named = strategy or (_flags.strategy_of(None, draft_model) if draft_model else None)
    loading = _flags.Loading(
        model=model,
        strategy=_flags.strategy_of(named, None),
        options=_flags.options_of(option, draft_model),
        verifier=verifier,
        stop_policy=stop_policy,
        dtype=dtype,
        device=_flags.check_device(device),
        exact=exact,
        trust_remote_code=trust_remote_code,
        revision=revision,
    )
    refuse_without_model(loading, named)
    loading.check_names()
    observations = examine(loading, named)
    if json:
        say(to_line(as_object(observations), ascii_only=True))
    else:
        show(observations)
    return FAULT if any(each.state == "refused" for each in observations) else FINE


def refuse_without_model(loading: _flags.Loading, named: str | None) -> None:
    """Raise InputError for what can only be seen on a model, if none is named."""
    given = {
        "--strategy": named,
        "--option": loading.options,
        "--verifier": loading.verifier,
        "--stop-policy": loading.stop_policy,
        "--exact": loading.exact,
    }
    missing = [flag for flag, value in given.items() if value]
    if missing and loading.model is None:
        raise InputError(f"{missing[0]} is seen on a model: name one with -m (-m demo is bundled)")
    if loading.options and named is None:
        raise InputError("--option belongs to a strategy: name it with --strategy")


def examine(loading: _flags.Loading, named: str | None) -> list[Observation]:
    """Look at everything that was asked for."""
    Notes().note("looking around" if loading.model is None else f"loading {loading.model}")
    from specframe._doctor.machine import examine_machine  # noqa: PLC0415 (imports torch)
    from specframe._doctor.model import Asked, examine_model  # noqa: PLC0415
    from specframe._loading.loading import DEMO, Source  # noqa: PLC0415

    registry = load_registry()
    observations = list(examine_machine(registry))
    if loading.model is None:
        return observations
    source = Source(
        None if loading.model == DEMO and not Path(DEMO).is_dir() else loading.model,
        dtype=loading.dtype,
        device=loading.device,
        trust_remote_code=loading.trust_remote_code,
        revision=loading.revision,
    )
    asked = Asked(
        source=source,
        strategy=named,
        verifier=loading.verifier,
        stop_policy=loading.stop_policy,
        options=loading.options,
        exact=loading.exact,
    )
    return [*observations, *examine_model(asked, registry)]


def as_object(observations: list[Observation]) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    return {
        "schema": SCHEMA,
        "is_fine": all(each.state != "refused" for each in observations),
        "versions": versions(),
        "observations": [
            {"topic": each.topic, "state": each.state, "text": each.text, "fix": each.fix}
            for each in observations
        ],
    }


def show(observations: list[Observation]) -> None:
    """Print one paragraph for each observation, and how many of each kind there are."""
    topics = max(len(each.topic) for each in observations)
    for each in observations:
        head = f"{each.topic.ljust(topics)}  {WORDS[each.state].ljust(7)}  "
        text = each.text + (f" -> {each.fix}" if each.fix else "")
        room = max(terminal_width() - len(head), 30)
        lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
        say(head + f"\n{' ' * len(head)}".join(lines))
    counts = Counter(each.state for each in observations)
    say(f"{counts['refused']} refused, {counts['note']} notes, {counts['fine']} ok")

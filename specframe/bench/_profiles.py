"""Where the time goes: torch's profiler over one prompt of each strategy, outside of all runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import torch
from torch.profiler import ProfilerActivity, profile

from specframe._files import write_atomically
from specframe.bench._run_order import Slot
from specframe.bench._runner import Runner, message_of
from specframe.bench._spec_bench_answers import file_names

ROWS = 25


@attrs.frozen
class Profile:
    """Hold one strategy's table of operators; the Chrome trace lies at ``path``.

    ``table`` says why there is none where profiling failed.
    """

    strategy: str
    table: str
    path: Path | None


def write_profiles(
    runner: Runner, slots: Sequence[Slot], folder: Path, device: torch.device
) -> list[Profile]:
    """Profile the first prompts with every competitor; write NAME.json and NAME.txt.

    The same prompts were decoded before, so nothing is allocated or compiled for the first time.
    """
    folder.mkdir(exist_ok=True)
    first = {slot.strategy: slot for slot in reversed(slots)}
    names = file_names(list(runner.competitors))
    return [
        _profile(runner, first[name], folder / names[name], is_cuda=device.type == "cuda")
        for name in runner.competitors
    ]


def _profile(runner: Runner, slot: Slot, path: Path, *, is_cuda: bool) -> Profile:
    competitor = runner.competitors[slot.strategy]
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_cuda else [])]
    try:
        competitor.reset()
        with profile(activities=activities) as profiler:
            runner.play(competitor, slot.prompts)
    except Exception as error:  # noqa: BLE001 (a profile is no reason to lose the runs)
        return Profile(slot.strategy, f"no profile: {message_of(error)}", None)
    key = "self_device_time_total" if is_cuda else "self_cpu_time_total"
    table = profiler.key_averages().table(sort_by=key, row_limit=ROWS)
    trace = path.with_name(f"{path.name}.json")
    profiler.export_chrome_trace(str(trace))
    write_atomically(path.with_name(f"{path.name}.txt"), table)
    return Profile(slot.strategy, table, trace)

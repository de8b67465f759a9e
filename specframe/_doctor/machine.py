"""What ``specframe doctor`` looks at: installation, machine, plug-ins, environment."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Literal

import attrs
import torch
from packaging.requirements import Requirement

from specframe._engine.runners.selection import VARIABLE, runner_on
from specframe._errors import InputError
from specframe._machine import usable_cores, version_of
from specframe._plugins.registry import Registry
from specframe._words import suggestion

State = Literal["fine", "note", "refused"]
CORE = ("specframe", "torch", "transformers", "huggingface-hub", "tokenizers", "safetensors")
NEEDED_BY = {"train": "`specframe train`", "testing": "specframe.testing"}  # by extra
OURS = {
    "SPECFRAME_DEBUG": "1 shows tracebacks and watches drafters",
    "SPECFRAME_PLUGINS": "the third-party plug-ins that are loaded",
    VARIABLE: "the runner",
    "SPECFRAME_TESTING_LEVEL": "of the conformance kit",
    "SPECFRAME_TESTING_MAX_EXAMPLES": "of the conformance kit",
    "SPECFRAME_TESTING_SEED": "of the conformance kit",
}
THEIRS = (
    "CUDA_VISIBLE_DEVICES",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "NO_COLOR",
    "OMP_NUM_THREADS",
    "TRANSFORMERS_OFFLINE",
)


@attrs.frozen
class Observation:
    """One thing that was looked at; ``fix`` says what to do if it is not fine."""

    topic: str
    state: State
    text: str
    fix: str | None = None


def examine_machine(registry: Registry) -> Iterator[Observation]:
    """Look at everything that does not depend on a model."""
    yield from versions()
    yield from devices()
    yield from runner()
    yield from plugins(registry)
    yield from variables(os.environ)
    yield from terminal()


def versions() -> Iterator[Observation]:
    """Name the versions that decoding depends on; compare all with what specframe needs."""
    named = [f"{name} {version_of(name) or 'missing'}" for name in CORE]
    python = ".".join(map(str, sys.version_info[:3]))
    yield Observation("versions", "fine", ", ".join([*named, f"Python {python}"]))
    for line in metadata.requires("specframe") or ():
        yield from requirement(line, version_of(Requirement(line).name))


def requirement(line: str, installed: str | None) -> Iterator[Observation]:
    """Compare one line of the metadata with the installed version (None: not installed)."""
    asked = Requirement(line)
    if installed is not None and asked.specifier.contains(installed, prereleases=True):
        return
    extra = next((name for name in NEEDED_BY if f'extra == "{name}"' in line.replace("'", '"')), "")
    if extra and installed is None:
        text = f"{asked.name} is not installed, which {NEEDED_BY[extra]} needs"
        yield Observation("versions", "note", text, f'pip install "specframe[{extra}]"')
    elif extra or asked.marker is None or asked.marker.evaluate({"extra": ""}):
        state: State = "note" if extra else "refused"
        text = (
            f"{asked.name} {installed} is installed and specframe needs {asked.specifier}"
            if installed
            else f"{asked.name} is not installed and specframe needs it"
        )
        yield Observation("versions", state, text, f'pip install "{asked.name}{asked.specifier}"')


def devices() -> Iterator[Observation]:
    """Name the devices that models can run on, and what keeps others from it."""
    usable, threads = usable_cores(), torch.get_num_threads()
    kind = torch.backends.cpu.get_cpu_capability()
    text = f"cpu ({kind}): {usable} cores usable, {threads} threads of torch"
    if threads > usable:
        fix = f"set OMP_NUM_THREADS={usable}, so that threads do not wait for each other"
        yield Observation("devices", "note", text, fix)
    else:
        yield Observation("devices", "fine", text)
    yield from accelerators()


def accelerators() -> Iterator[Observation]:
    """Name the GPUs."""
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        size = about.total_memory / 2**30
        yield Observation("devices", "fine", f"cuda:{index}: {about.name}, {size:.0f} GiB")
    if torch.cuda.is_available():
        return
    if shutil.which("nvidia-smi") is None:
        has_metal = torch.backends.mps.is_available()
        here = ": Apple's GPU is not used" if has_metal else ""
        yield Observation("devices", "fine", f"no CUDA device, so the CPU decodes{here}")
    elif torch.version.cuda is None:
        text = "nvidia-smi is there and this build of torch has no CUDA, so the CPU decodes"
        yield Observation("devices", "note", text, "install torch from a CUDA index of pytorch.org")
    else:
        text = f"torch (CUDA {torch.version.cuda}) finds no CUDA device, so the CPU decodes"
        fix = "see whether nvidia-smi lists one, and what CUDA_VISIBLE_DEVICES says"
        yield Observation("devices", "note", text, fix)


def runner() -> Iterator[Observation]:
    """Name the runner of engines, and what its compiler lacks."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        name = runner_on(device)
    except InputError as error:
        yield Observation("runner", "refused", str(error), f"unset {VARIABLE}")
        return
    yield Observation("runner", "fine", f"{name} on {device}")
    has_compiler = any(map(shutil.which, ("cc", "gcc", "clang", "cl")))
    has_triton = device == "cpu" or importlib.util.find_spec("triton") is not None
    if name == "fused" and not (has_compiler and has_triton):
        missing = "triton" if has_compiler else "a C compiler"
        text = f"the fused runner compiles with {missing}, which is missing: layers run uncompiled"
        yield Observation("runner", "note", text, f"install {missing}")


def plugins(registry: Registry) -> Iterator[Observation]:
    """Name the plug-ins; a broken one is refused, and its message says how to continue."""
    others = [str(each) for each in registry.plugins if not each.is_built_in]
    ours = len(registry.plugins) - len(others)
    yield Observation("plug-ins", "fine", ", ".join([f"{ours} of specframe's own", *others]))
    for problem in registry.problems:
        yield Observation("plug-ins", "refused", str(problem))
    for warning in registry.warnings:
        yield Observation("plug-ins", "note", warning)


def variables(environment: Mapping[str, str]) -> Iterator[Observation]:
    """Name the variables that are set and matter, and misspelt ones of ours."""
    for name in sorted(environment):
        if name in THEIRS:
            yield Observation("environment", "fine", f"{name}={environment[name]}")
        elif name in OURS:
            text = f"{name}={environment[name]} ({OURS[name]})"
            yield Observation("environment", "fine", text)
        elif name.startswith("SPECFRAME_"):
            near = suggestion(name, sorted(OURS)).removesuffix(".")
            yield Observation("environment", "note", f"{name} means nothing{near}", f"unset {name}")


def terminal() -> Iterator[Observation]:
    """Say what standard output can show."""
    encoding = (getattr(sys.stdout, "encoding", None) or "unknown").lower()
    if encoding.replace("-", "").replace("_", "") in {"utf8", "utf16", "utf32"}:
        yield Observation("terminal", "fine", f"standard output is {encoding}")
        return
    text = f"standard output is {encoding}: characters that it lacks are printed as '?'"
    yield Observation("terminal", "note", text, "set PYTHONUTF8=1")

"""The machine and the software, as far as a result depends on them."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import torch

from specframe._machine import usable_cores, version_of
from specframe.bench._records import Environment

PACKAGES = ("specframe", "torch", "transformers", "numpy", "tokenizers")
CPU_INFO = Path("/proc/cpuinfo")
SOURCE = Path(__file__).resolve().parent.parent  # of the core
PATIENCE = 10  # seconds that git may take


def environment(device: torch.device) -> Environment:
    """Return what this process runs on."""
    return Environment(
        platform=platform.platform(),
        machine=platform.machine(),
        processor=processor(),
        cores=usable_cores(),
        threads=torch.get_num_threads(),
        device=device_name(device),
        python=platform.python_version(),
        versions={name: version_of(name) for name in PACKAGES},
        git_revision=git_revision(SOURCE),
    )


def processor() -> str:
    """Return the processor's name, where the system tells it."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def device_name(device: torch.device) -> str:
    """Return the device, with the name of its hardware where it is no CPU."""
    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"


def git_revision(folder: Path) -> str | None:
    """Return the commit that the source in ``folder`` is at, "-dirty" if it has changed since.

    None where git does not track it: an installed copy, or no git at all.
    """
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    is_clean = _git(folder, "diff", "--quiet", "HEAD") is not None
    return None if commit is None else f"{commit}{'' if is_clean else '-dirty'}"


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None where it fails."""
    try:
        done = subprocess.run(  # noqa: S603 (fixed arguments)
            ["git", "-C", str(folder), *arguments],  # noqa: S607 (the user's own git)
            capture_output=True,
            check=False,
            text=True,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

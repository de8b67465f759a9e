"""Run the examples of README.md and docs/: ``pytest README.md docs``.

Python blocks run in one namespace a page. Bash blocks run with ``set -euo pipefail`` in an empty
folder. Console blocks are not run, and nor is what follows ``<!-- skip: next -->``;
``tests/test_pages.py`` holds what they call to the commands and flags that specframe has.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

if TYPE_CHECKING:
    from sybil import Example


def run_bash(example: Example) -> str | None:
    """Run a block with this interpreter's commands first on the path; return what went wrong."""
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 (the repository's own examples)
            ["bash", "-euo", "pipefail", "-c", str(example.parsed)],  # noqa: S607
            capture_output=True,
            check=False,
            cwd=folder,
            env=os.environ | {"PATH": commands, "PYTHONSAFEPATH": "1"},
            text=True,
        )
    return None if done.returncode == 0 else f"exit code {done.returncode}\n{done.stderr}"


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), CodeBlockParser("bash", run_bash), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
).pytest()

"""Run ``make matrix-3.12`` and its like for each Python named that this machine has.

The last lines say what became of each; one that is not here is said, and fails nothing.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LOGS = Path("build/matrix")
# Where Pythons lie that no PATH names. {0} is a version such as 3.12.
PLACES = [
    "{PYENV_ROOT}/versions/{0}.*/bin/python{0}",
    "~/.pyenv/versions/{0}.*/bin/python{0}",
    "~/.local/share/uv/python/cpython-{0}.*/bin/python{0}",
    "/usr/bin/python{0}",
    "/usr/local/bin/python{0}",
    "/opt/python*/bin/python{0}",
    "/opt/homebrew/bin/python{0}",
    "/opt/hostedtoolcache/Python/{0}.*/*/bin/python{0}",
    "/Library/Frameworks/Python.framework/Versions/{0}/bin/python{0}",
]
# ensurepip is what a Debian without python3-venv lacks.
ASK = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2], sys.version.split()[0])"


def candidates(version: str) -> list[str]:
    """Return where a Python may be: the one that make was given, those on the path, others."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    root = os.environ.get("PYENV_ROOT", "~/.pyenv")
    places = [Path(each.format(version, PYENV_ROOT=root)).expanduser() for each in PLACES]
    found = [str(path) for place in places for path in sorted(Path("/").glob(str(place)[1:]))]
    return [sys.executable, *(f"{folder}/python{version}" for folder in folders), *found]


def release(path: str, version: str) -> str | None:
    """Return the exact version of a Python that can make environments, or None."""
    try:
        asked = subprocess.run([path, "-c", ASK], capture_output=True, check=False, text=True)
    except OSError:
        return None
    minor, _, exact = asked.stdout.strip().partition(" ")
    return exact if asked.returncode == 0 and minor == version else None


def attempt(version: str) -> tuple[bool, str]:
    """Run everything on one Python; return whether it may pass, and a line about it."""
    known = ((path, release(path, version)) for path in candidates(version))
    path, exact = next((each for each in known if each[1]), ("", None))
    if exact is None:
        return True, f"{version}  not found on this machine, so nothing ran on it"
    log = LOGS / f"{version}.log"
    began = time.monotonic()
    command = [os.environ.get("MAKE", "make"), f"matrix-{version}", f"FOUND={path}"]
    with log.open("w") as output:
        code = subprocess.run(command, check=False, stdout=output, stderr=output).returncode
    lines = log.read_text().splitlines()
    took = f"{time.monotonic() - began:.0f} s"
    if code != 0:
        print("\n".join(lines[-100:]))
        return False, f"{version}  FAILED on {exact} ({path}) in {took}: all of it is in {log}"
    return True, f"{version}  passed on {exact} ({path}) in {took}: {lines[-1].strip('= ')}"


def main(versions: list[str]) -> int:
    """Run every version, as many side by side as there are cores; return the exit code."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(attempt, versions))
    print(*(line for _, line in outcomes), sep="\n")
    return 0 if all(passed for passed, _ in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Record ``specframe decode --compare`` in a terminal and write it as an SVG picture.

    python benchmarks/recording.py [--output docs/recording.svg]

The command runs in a pseudo-terminal; its output is shown unchanged, colours and figures included.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PROMPT = "def copy_file(source, target):"
COMMAND = ("specframe", "decode", PROMPT, "--compare", "--max-new-tokens", "72")
COLUMNS = 100
# The picture must not ask the network for a font.
REMOTE_FONTS = re.compile(r"@font-face\s*{[^}]*}", flags=re.DOTALL)


def main() -> None:
    """Run the command and write what the terminal showed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/recording.svg"))
    output: Path = parser.parse_args().output
    output.write_text(picture(recorded()), encoding="utf-8")
    print(output)


def recorded() -> str:
    """Return everything that the command wrote to its terminal; raise where it failed."""
    seen = bytearray()

    def read(descriptor: int) -> bytes:
        chunk = os.read(descriptor, 65536)
        seen.extend(chunk)
        return chunk

    os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS))
    start = "import sys; from specframe.cli import main; sys.exit(main())"
    status = pty.spawn([sys.executable, "-c", start, *COMMAND[1:]], read)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(COMMAND)} failed, see above")
    return seen.decode()


def picture(text: str) -> str:
    """Return a terminal with the command and its text as SVG."""
    command = " ".join(f'"{word}"' if " " in word else word for word in COMMAND)
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text(f"$ {command}", style="bold"))
        console.print(Text.from_ansi(text.replace("\r\n", "\n").rstrip()))
        drawn = console.export_svg(title="specframe", theme=MONOKAI, unique_id="recording")
    return REMOTE_FONTS.sub("", drawn).replace("Fira Code", "ui-monospace, Menlo, DejaVu Sans Mono")


if __name__ == "__main__":
    main()

"""Time the page of a trace in headless Chromium at any length, or take a picture of it.

    python benchmarks/trace_page.py times [TOKENS ...]
    python benchmarks/trace_page.py picture FILE.jsonl PICTURE.png

Needs the checkout (traces and the browser are those of the tests) and Chromium.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import trace_records
import trace_times
from browser import Browser
from specframe._trace import read_trace, render_trace
from specframe._trace.reading import trace_of

LENGTHS = (1_000, 10_000)
WIDTH, HEIGHT = 1180, 860
LOOK = "document.querySelectorAll('.flow .t.c')[{}].click(), scrollTo(0, {})"


def main(command: str, *arguments: str) -> None:
    """Print times, or take a picture."""
    browser = Browser()
    try:
        if command == "times":
            for tokens in map(int, arguments or LENGTHS):
                print_times(browser, tokens)
        else:
            take_picture(browser, *map(Path, arguments))
    finally:
        browser.close()


def print_times(browser: Browser, tokens: int) -> None:
    """Build a page of so many tokens, open it, scroll through it and press keys in it."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        text = render_trace(trace_of(trace_records.long(tokens), "generated"))
        page.write_text(text, encoding="utf-8")
        times = trace_times.measure(browser, page)
    frames, keys = times["frames"], times["keys"]
    print(
        f"{tokens:>7,} tokens, {len(text) / 1e6:.1f} MB: loaded in {times['load']:.0f} ms; "
        f"scrolled in {len(frames)} frames of {statistics.median(frames):.0f} ms (median, "
        f"slowest {max(frames):.0f}); a key to the next frame {statistics.median(keys):.0f} ms "
        f"(slowest {max(keys):.0f})"
    )


def take_picture(browser: Browser, trace: Path, picture: Path) -> None:
    """Write what a reader sees who clicks on a corrected token."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(render_trace(read_trace(trace)), encoding="utf-8")
        browser.open(page, WIDTH, height=HEIGHT)
        browser.evaluate(LOOK.format(1, 0))
        browser.wait_for("new Promise(done => setTimeout(done, 1000))")
        browser.screenshot(picture, whole=False)


if __name__ == "__main__":
    main(*sys.argv[1:])

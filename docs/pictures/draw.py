"""Draw the pictures of the documentation: ``python docs/pictures/draw.py``.

The rounds that are shown were decoded by the demo model when this ran. A picture brings its own
background, light or dark as the reader's system asks, so it can be read on any page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path

import attrs

import specframe

HERE = Path(__file__).parent
PROMPT = "def read_config(path):"
STYLE = """<style>
.page { --back: #ffffff; --ink: #1b2230; --soft: #586174; --rule: #c3cad6; --quiet: #eef1f5;
  --good: #d9f0df; --good-edge: #2c7a43; --bad: #fbe3dd; --bad-edge: #b2432a; --own: #dfe8fb;
  --own-edge: #2b5fc7; }
@media (prefers-color-scheme: dark) { .page { --back: #171c24; --ink: #e7ebf2; --soft: #a9b4c6;
  --rule: #4a566a; --quiet: #242c38; --good: #1d3b29; --good-edge: #6cc48a; --bad: #45261f;
  --bad-edge: #f09a80; --own: #22345a; --own-edge: #8fb2f8; } }
.page text { font: 14px ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace;
  fill: var(--ink); }
.page .say { font: 14px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.page .soft { fill: var(--soft); font-size: 12.5px; }
.page .plain { fill: var(--quiet); stroke: var(--rule); }
.page .good { fill: var(--good); stroke: var(--good-edge); }
.page .bad { fill: var(--bad); stroke: var(--bad-edge); stroke-dasharray: 5 3; }
.page .own { fill: var(--own); stroke: var(--own-edge); stroke-width: 2; }
.page .line { stroke: var(--soft); fill: none; stroke-width: 1.4; }
.page .head { fill: var(--soft); }
</style>"""
HEIGHT, GAP = 30, 8


@attrs.define
class Page:
    """Collect the shapes of one picture; owns how far they reach."""

    title: str
    shapes: list[str] = attrs.Factory(list)
    width: float = 0
    height: float = 0

    def say(self, x: float, y: float, text: str, kind: str = "say", anchor: str = "start") -> None:
        """Write a line of text that begins, or is centred, at a place."""
        self.shapes.append(
            f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
        )
        self._reach(x + (len(text) * 7.6 if anchor == "start" else 0), y + 6)

    def box(self, place: Sequence[float], text: str, kind: str, words: str = "code") -> None:
        """Draw a box at (x, y, width, height) with a text in its middle."""
        x, y, width, height = place
        self.shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" '
            f'class="{kind}"/>'
        )
        self.say(x + width / 2, y + height / 2 + 5, text, words, "middle")
        self._reach(x + width, y + height)

    def arrow(self, *points: tuple[float, float]) -> None:
        """Draw an arrow along points."""
        way = " L".join(f"{x:g} {y:g}" for x, y in points)
        self.shapes.append(f'<path class="line" marker-end="url(#tip)" d="M{way}"/>')
        self._reach(max(x for x, _ in points) + 6, max(y for _, y in points) + 6)

    def _reach(self, x: float, y: float) -> None:
        self.width, self.height = max(self.width, x), max(self.height, y)

    def svg(self) -> str:
        """Return the picture as a file's text."""
        width, height = round(self.width + 20), round(self.height + 16)
        tip = (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto-start-reverse"><path class="head" d="M0 0L8 4L0 8Z"/>'
            "</marker></defs>"
        )
        opening = (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="page" role="img" '
            f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'aria-label="{escape(self.title)}">'
        )
        lines = [
            opening,
            f"<title>{escape(self.title)}</title>{STYLE}{tip}",
            f'<rect width="{width}" height="{height}" rx="10" style="fill: var(--back)"/>',
            *self.shapes,
            "</svg>\n",
        ]
        return "\n".join(lines)


def draw_round() -> Page:
    """Draw a round in which some of a chain was accepted: guessed, said, committed."""
    spelt, rounds = decoded({})
    cut = [each for each in rounds if each.accepted < len(each.draft_tokens)]
    shown = max(cut, key=lambda each: each.accepted)
    page = Page("One round: what was drafted, what the target said, what was committed")
    for name, y in (("drafted, one by one", 20), ("the target, one pass", 90), ("committed", 160)):
        page.say(14, y + 20, name, "say soft")
    drafted = [spelt(token) for token in shown.draft_tokens]
    said = [spelt(token) for token in shown.target_tokens]
    x: float = 150
    for at, (guess, told) in enumerate(zip([*drafted, ""], said, strict=True)):
        width = max(len(guess), len(told), 3) * 8.6 + 14
        draw_place(page, (x, width), (guess, told), at - shown.accepted)
        x += width + GAP
    count = shown.accepted
    page.say(14, 222, f"{count} drafts accepted and the target's own token:")
    page.say(14, 242, f"{count + 1} tokens for one pass of the whole model")
    return page


def draw_place(page: Page, across: tuple[float, float], words: tuple[str, str], late: int) -> None:
    """Draw what was guessed and said for one place, which is accepted where ``late`` < 0."""
    (x, width), (guess, told) = across, words
    kind, middle = ("good" if late < 0 else "own"), x + width / 2
    if guess:
        page.box((x, 20, width, HEIGHT), guess, "good" if late < 0 else "bad")
    if late > 0:
        page.box((x, 90, width, HEIGHT), "...", "plain")
        return
    page.say(middle, 75, "=" if late < 0 else "not the same", "say soft", "middle")
    page.box((x, 90, width, HEIGHT), told, kind)
    page.box((x, 160, width, HEIGHT), told, kind)
    page.arrow((middle, 122), (middle, 158))


def draw_tree() -> Page:
    """Draw a tree that Kangaroo drafted, with the path that the target took."""
    spelt, rounds = decoded({"tree": True, "tree_top_k": 3, "steps": 4, "max_nodes": 12})
    shown = next(each for each in rounds if each.accepted >= 3)
    page = Page("A token tree of one round, and the path that the target takes through it")
    path, places = accepted_path(shown), laid_out(shown.draft_parents)
    page.box((20, 120, 70, HEIGHT), "root", "own", "say")
    for node, place in places.items():
        above = places.get(shown.draft_parents[node])
        kind = "good" if node in path else "plain"
        draw_node(page, above, place, (spelt(shown.draft_tokens[node]), kind))
    level, line = places[path[-1]]
    own = spelt(shown.target_tokens[path[-1] + 1])
    draw_node(page, (level, line), (level + 1, line), (own, "own"))
    page.say(20, page.height + 24, f"one pass scores all {len(places)} guesses;")
    page.say(20, page.height + 14, "the accepted path is followed by the target's own token")
    return page


def draw_node(
    page: Page, above: tuple[int, int] | None, place: tuple[int, int], look: tuple[str, str]
) -> None:
    """Draw a node at (level, line), and the arrow from the node above it, or from the root."""
    x, y = 150 + place[0] * 140, 20 + place[1] * 44
    start = (90, 135) if above is None else (254 + above[0] * 140, 35 + above[1] * 44)
    page.arrow(start, (x - 2, y + 15))
    page.box((x, y, 104, HEIGHT), *look)


def accepted_path(shown: specframe.RowRound) -> list[int]:
    """Return the nodes that were accepted, from the root downwards."""
    path: list[int] = []
    while len(path) < shown.accepted:
        above = path[-1] if path else -1
        told = shown.target_tokens[above + 1]
        below = [node for node, parent in enumerate(shown.draft_parents) if parent == above]
        path.append(next(node for node in below if shown.draft_tokens[node] == told))
    return path


def laid_out(parents: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return the level and the line of each node: children right of their parent, none crossing."""
    places: dict[int, tuple[int, int]] = {}
    lines = iter(range(len(parents)))

    def place(node: int, level: int) -> None:
        below = [child for child, parent in enumerate(parents) if parent == node]
        for child in below:
            place(child, level + 1)
        if node >= 0:
            line = places[below[0]][1] if below else next(lines)
            places[node] = (level, line)

    place(-1, -1)
    return places


def draw_passes() -> Page:
    """Draw the same text by plain decoding and by drafting, as passes of the model."""
    page = Page("Plain decoding runs the whole model once a token, drafting once a round")
    page.say(14, 40, "plain", "say soft")
    for at in range(6):
        page.box((110 + at * 92, 20, 84, HEIGHT), f"token {at + 1}", "plain", "say")
    page.say(14, 105, "drafting", "say soft")
    for at in range(5):
        page.box((110 + at * 24, 85, 18, HEIGHT), "", "good")
    page.box((234, 85, 112, HEIGHT), "check all 5", "own", "say")
    page.say(358, 105, "6 tokens, if all 5 were right", "say soft")
    scale = "narrow: a cheap guess · wide: a pass of the whole model · not to scale"
    page.say(110, 145, scale, "say soft")
    return page


def draw_layers() -> Page:
    """Draw Kangaroo: which layers run while drafting, and which verify."""
    page = Page("Kangaroo: the first layers draft with an adapter, the others verify from there")
    for at in range(8):
        kind = "good" if at < 2 else "own"
        page.box((20 + at * 66, 90, 58, 56), f"{at + 1}", kind, "say")
    page.box((564, 90, 110, 56), "norm, head", "own", "say")
    page.box((130, 200, 130, 40), "adapter", "good", "say")
    page.box((290, 200, 130, 40), "norm, head", "good", "say")
    page.box((450, 200, 130, 40), "guess", "good", "say")
    page.say(20, 40, "the first layers run on each guess as it comes,", "say")
    page.say(20, 60, "and their keys and values stay in the cache", "say soft")
    page.say(380, 40, "the other layers run once a round,", "say")
    page.say(380, 60, "on all guesses, from where the first ones stopped", "say soft")
    page.arrow((114, 146), (114, 220), (128, 220))
    page.arrow((260, 220), (288, 220))
    page.arrow((420, 220), (448, 220))
    page.arrow((515, 240), (515, 268), (49, 268), (49, 150))
    page.say(110, 288, "again, until a guess has a probability below the threshold", "say soft")
    page.arrow((674, 118), (704, 118))
    page.say(710, 123, "verdict", "say")
    return page


def draw_loop() -> Page:
    """Draw the loop: who is called in a round, and what is passed on."""
    page = Page("The loop: propose, score, verify, commit, update, observe")
    steps = (
        ("propose", "drafter", "good"),
        ("score", "target", "own"),
        ("verify", "verifier", "plain"),
        ("commit", "target", "own"),
        ("update", "drafter", "good"),
        ("observe", "stop policy", "plain"),
    )
    passed = ("draft", "scores", "verdict", "commit", "", "")
    for at, ((call, who, kind), value) in enumerate(zip(steps, passed, strict=True)):
        x = 20 + at * 150
        page.box((x, 40, 92, 40), call, kind)
        page.say(x + 46, 28, who, "say soft", "middle")
        if at < len(steps) - 1:
            page.arrow((x + 92, 60), (x + 148, 60))
            page.say(x + 120, 50, value, "say soft", "middle")
    page.arrow((816, 80), (816, 118), (66, 118), (66, 84))
    page.say(441, 138, "the next round, with the remaining rows", "say soft", "middle")
    return page


def decoded(options: dict[str, object]) -> tuple[Callable[[int], str], list[specframe.RowRound]]:
    """Return how a token is spelt, and the rounds of a greedy decode of the demo model."""
    with specframe.load(options=options) as decoder:
        result = decoder.decode(PROMPT, max_new_tokens=64)
        tokenizer = decoder.tokenizer
    assert tokenizer is not None
    return (lambda token: visible(str(tokenizer.decode([token])))), list(result.rounds)


def visible(text: str) -> str:
    """Return a token's text with its white space shown."""
    stripped = text.lstrip("\n")
    breaks = "⏎" * (len(text) - len(stripped))
    spaces = len(stripped) - len(stripped.lstrip(" "))
    return breaks + "·" * spaces + stripped.lstrip(" ")


def pictures() -> Iterator[tuple[str, Page]]:
    """Yield every picture with its name."""
    yield "round", draw_round()
    yield "tree", draw_tree()
    yield "passes", draw_passes()
    yield "layers", draw_layers()
    yield "loop", draw_loop()


def main() -> None:
    """Write the pictures beside this script."""
    for name, page in pictures():
        path = HERE / f"{name}.svg"
        path.write_text(page.svg(), encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main()

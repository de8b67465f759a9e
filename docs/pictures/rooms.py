"""Draw the rooms of the core from their imports: ``python docs/pictures/rooms.py``.

The order is that of the ``layers`` contract in pyproject.toml; the arrows are what the sources
import, in type annotations too. An arrow that other arrows lead along is left out.
"""

from __future__ import annotations

import ast
import itertools
import tomllib
from collections.abc import Iterator
from pathlib import Path

from draw import Page

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CORE = ROOT / "specframe"
STEP, LEFT, WIDTH, BOX = 36, 190, 110, 26
LONGEST = 84  # characters of what is said of a room
Arrow = tuple[str, str]


def floors() -> list[list[str]]:
    """Return the rooms from the top floor to the ground, as pyproject.toml orders them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (order,) = (each["layers"] for each in contracts if each["type"] == "layers")
    named = [[room.strip() for room in layer.split("|")] for layer in order]
    return [[room for room in floor if (CORE / room).is_dir()] for floor in named if floor]


def imports(rooms: set[str]) -> set[Arrow]:
    """Return every pair of rooms of which the first imports from the second."""
    found: set[Arrow] = set()
    for room in rooms:
        for path in (CORE / room).rglob("*.py"):
            for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
                other = name.split(".")[1] if name.count(".") else ""
                if other in rooms and other != room:
                    found.add((room, other))
    return found


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield what a module imports from specframe; the package's own public names are no room."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("specframe."))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("specframe"):
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def reduced(arrows: set[Arrow]) -> set[Arrow]:
    """Return the arrows that no chain of other arrows replaces."""
    below: dict[str, set[str]] = {}
    for room, other in arrows:
        below.setdefault(room, set()).add(other)

    def reach(room: str) -> set[str]:
        return set(itertools.chain.from_iterable({one, *reach(one)} for one in below.get(room, ())))

    return {
        (room, other)
        for room, other in arrows
        if not any(other in reach(one) for one in below[room] - {other})
    }


def upward(order: list[list[str]], arrows: set[Arrow]) -> set[Arrow]:
    """Return the arrows that lead back up, or along a floor: there must be none."""
    height = {room: at for at, floor in enumerate(order) for room in floor}
    return {(room, other) for room, other in arrows if height[other] <= height[room]}


def draw_rooms() -> Page:
    """Draw the rooms below each other, what each holds, and the arrows that lead down."""
    rooms = [room for floor in floors() for room in floor]
    page = Page("The rooms of the core: all imports lead downwards")
    for at, room in enumerate(rooms):
        y = 16 + at * STEP
        page.box((LEFT, y, WIDTH, BOX), room, "own" if room == "_loop" else "plain")
        page.say(LEFT + WIDTH + 14, y + 18, what_it_holds(room), "say soft")
    page.width -= 90  # soft words are narrower than what a page reckons with
    for room, other in sorted(reduced(imports(set(rooms)))):
        draw_arrow(page, rooms.index(room), rooms.index(other))
    return page


def what_it_holds(room: str) -> str:
    """Return the first sentence of a room's docstring."""
    text = ast.get_docstring(ast.parse((CORE / room / "__init__.py").read_text("utf-8"))) or ""
    whole = text.partition("\n")[0].rstrip(".").replace("`", "")
    return whole if len(whole) <= LONGEST else whole.partition(":")[0]


def draw_arrow(page: Page, start: int, end: int) -> None:
    """Draw an arrow between two rooms: straight down to the next, else around on the left."""
    from_y, to_y = 16 + start * STEP, 16 + end * STEP
    if end == start + 1:
        page.arrow((LEFT + WIDTH / 2, from_y + BOX), (LEFT + WIDTH / 2, to_y))
        return
    aside = LEFT - 16 - (end - start) * 11
    page.shapes.append(
        f'<path class="line" marker-end="url(#tip)" d="M{LEFT} {from_y + 18:g} '
        f'C{aside:g} {from_y + 30:g} {aside:g} {to_y - 4:g} {LEFT} {to_y + 9:g}"/>'
    )


if __name__ == "__main__":
    (HERE / "rooms.svg").write_text(draw_rooms().svg(), encoding="utf-8")
    print("rooms.svg")

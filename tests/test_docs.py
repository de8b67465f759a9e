"""The documentation: every page is in the menu, links lead somewhere, the reference has it all."""

import importlib.util
import re
from pathlib import Path

import pytest
from typer.main import get_command

import specframe
import specframe.testing
import specframe.training
from specframe._plugins.discovery import load_registry
from specframe._plugins.options import describe_options
from specframe.cli._app import build_app

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]
REFERENCE = re.compile(r"\]\[([\w-]+)\]")
DEFINITION = re.compile(r"^\[([\w-]+)\]: https://\S+$", flags=re.MULTILINE)
PACKAGES = (specframe, specframe.testing, specframe.training)
LINK = re.compile(r"\]\(([^)#:\s]+)?(#[^)\s]+)?\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", flags=re.DOTALL | re.MULTILINE)


def load(path):
    found = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


GENERATED = load(DOCS / "_extension" / "reference_pages.py")
SITE_TEXT = load(DOCS / "_extension" / "site_text.py")


def relative(path):
    return str(path.relative_to(ROOT))


def anchors(page):
    """The anchors of a page's headings, as GitHub and MyST make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    text = GENERATED.with_generated(text)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def test_every_page_is_in_the_menu():
    index = (DOCS / "index.md").read_text("utf-8")
    entries = re.findall(r"^(?:.*<)?([a-z][a-z/-]*\*?)>?$", index, flags=re.MULTILINE)
    named = {
        path.relative_to(DOCS).with_suffix("")
        for entry in entries
        for path in DOCS.glob(f"{entry}.md")
    }
    pages = {path.relative_to(DOCS).with_suffix("") for path in PAGES}
    assert pages - named == {Path("index")}


@pytest.mark.parametrize("page", TEXTS, ids=relative)
def test_links_lead_to_files_and_headings(page):
    broken = []
    for target, anchor in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
        path = (page.parent / target) if target else page
        if not path.exists() or (anchor and anchor[1:] not in anchors(path)):
            broken.append(f"{target}{anchor}")
    assert broken == []


@pytest.mark.parametrize("page", TEXTS, ids=relative)
def test_every_named_link_has_its_address_and_is_used(page):
    text = CODE.sub("", page.read_text("utf-8"))
    defined = DEFINITION.findall(text)
    assert sorted(defined) == sorted(set(REFERENCE.findall(text)))


def test_what_others_can_do_is_linked_to_where_they_say_so():
    page = (DOCS / "comparison.md").read_text("utf-8")
    rows = re.findall(r"^\| [^|]+ \| ✓[^|]* \|(.*)\|$", page, flags=re.MULTILINE)
    rows += re.findall(r"^\| (?:server|trained heads)[^|]*\| — \|(.*)\|$", page, flags=re.MULTILINE)
    assert len(rows) > 10
    claims = [cell.strip() for row in rows for cell in row.split("|")]
    assert [claim for claim in claims if claim[:1] not in {"[", "—", "?"}] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda each: each.__name__)
def test_the_reference_has_every_public_name_once(package):
    lines = list(GENERATED.names(package.__name__))
    documented = [line.rsplit(".", 1)[1] for line in lines if line.startswith(".. auto")]
    assert sorted(documented) == sorted(package.__all__)


def commands_below(words, command):
    found = {words: command}
    for name, below in getattr(command, "commands", {}).items():
        found |= commands_below(f"{words} {name}", below)
    return found


def test_the_reference_has_every_flag_of_every_command():
    page = "\n".join(GENERATED.commands())
    found = commands_below("specframe", get_command(build_app()))
    assert "specframe bench compare" in found
    for words, command in found.items():
        section = page.partition(f"## `{words}`\n")[2].partition("\n## ")[0]
        assert section, words
        flags = [flag for each in command.params for flag in each.opts if flag.startswith("--")]
        assert [flag for flag in flags if flag not in section] == []


def test_the_reference_has_every_option_of_every_plugin():
    page = "\n".join(GENERATED.plugins())
    registry = load_registry()
    for kind in ("drafter", "verifier", "stop policy"):
        for name, component in registry.tables[kind].items():
            if component.plugin.is_built_in:
                section = page.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
                for option in describe_options(component.options):
                    assert f"{option.name}`" in section
    families = [each for each in registry.families.values() if each.plugin.is_built_in]
    assert [each.name for each in families if f"`{each.name}`" not in page] == []


def test_a_request_that_nobody_writes_is_refused():
    with pytest.raises(KeyError, match="weather"):
        GENERATED.with_generated("<!-- generated: weather -->")


def test_text_of_a_table_is_shown_unchanged():
    assert GENERATED.plain("a|b *c* `d|e`") == r"a\|b \*c\* `d|e`"


def test_make_runs_the_command_of_every_figure():
    """Where nothing was measured yet, nothing can have been run: gpu.py."""
    page = " ".join((DOCS / "performance.md").read_text("utf-8").split())
    makefile = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", "")
    recipes = {line.strip().removeprefix(".venv/bin/") for line in makefile.splitlines()}
    commands = set(re.findall(r"`(python benchmarks/[^`]+)`", page))
    assert len(commands) > 6
    assert commands - recipes == {"python benchmarks/gpu.py"}
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"`(?:make )?(bench[a-z-]*)`", page)) <= targets


@pytest.mark.parametrize("name", ["round", "tree", "passes", "layers", "loop", "rooms"])
def test_pictures_can_be_read_in_the_dark_and_by_machines(name):
    picture = (DOCS / "pictures" / f"{name}.svg").read_text("utf-8")
    assert "prefers-color-scheme: dark" in picture
    assert "<title>" in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert any(f"pictures/{name}.svg" in page.read_text("utf-8") for page in PAGES)


def test_links_that_the_site_cannot_follow_become_paths():
    def settled(text):
        return SITE_TEXT.without_outward_links(text, DOCS / "page.md", DOCS)

    kept = "[a](other.md) [b](../conftest.py) [c](../../elsewhere)"
    assert settled(kept) == kept
    assert settled("[ours](../tests#x), [us](../README.md)") == "ours (`tests`), us (`README.md`)"


def test_pages_that_are_not_there_are_left_out_of_the_menu():
    menu = "start\nperformance*\nnobody-wrote-this*\n"
    assert SITE_TEXT.without_empty_patterns(menu, DOCS) == "start\nperformance*\n"

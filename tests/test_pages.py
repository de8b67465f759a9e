"""What the pages show and nobody runs: each command is one that specframe has, as it is typed."""

import ast
import copy
import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from specframe.cli._app import SHELL_FLAGS, build_app

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
]
RUN = {"python", "bash"}
SHOWN = {"", "console", "json", "text", "toml", "yaml"}
SITE = {"{include}", "{literalinclude}", "{toctree}"}  # which Sphinx fills in
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[^\s`]*).*?\n(?P<text>.*?)^(?P=indent)```$",
    flags=re.DOTALL | re.MULTILINE,
)
ENDS_COMMAND = {"|", "||", "&&", ";", ">", ">>", "<", "2>"}


def relative(path):
    return str(path.relative_to(ROOT))


def blocks(page, languages):
    """Return the blocks of a page in these languages."""
    found = FENCE.finditer(page.read_text("utf-8"))
    return [each["text"] for each in found if each["language"] in languages]


def commands_in(text):
    """Return the words of every command line that calls specframe, up to a pipe or the like."""
    lines = text.replace("\\\n", " ").splitlines()
    typed = [line.strip().removeprefix("$ ") for line in lines]
    split = [shlex.split(line, comments=True) for line in typed if line.startswith("specframe ")]
    return [up_to(words, ENDS_COMMAND) for words in split]


def up_to(words, ends):
    return words[: next((at for at, word in enumerate(words) if word in ends), len(words))]


def shown_commands():
    return [
        pytest.param(words, id=f"{relative(page)}: {shlex.join(words)}")
        for page in PAGES
        for text in blocks(page, {"bash", "console"})
        for words in commands_in(text)
    ]


@pytest.fixture(scope="module")
def app():
    return get_command(build_app())


def parse(command, words, parent=None):
    """Parse a command line as specframe does, but call nothing: neither commands nor callbacks."""
    context = typer.Context(command, info_name=words[0], parent=parent)
    typed = [*words[1:], *([""] if words[-1] in SHELL_FLAGS else [])]
    values, rest, _ = command.make_parser(context).parse_args(typed)
    for parameter in command.get_params(context):
        given, _ = parameter.consume_value(context, values)
        uncalled = copy.copy(parameter)
        uncalled.callback = None
        uncalled.process_value(context, given)
    if not hasattr(command, "commands"):
        assert rest == [], f"nobody takes {rest}"
    elif rest:
        name, below, arguments = command.resolve_command(context, rest)
        parse(below, [name, *arguments], context)
    else:
        ends = any(each.is_eager and each.name in values for each in command.params)
        assert ends or command.invoke_without_command, "a command is missing"


@pytest.mark.parametrize("words", shown_commands())
def test_a_command_on_a_page_is_one_that_specframe_has(app, words):
    parse(app, words)


@pytest.mark.parametrize(
    "line",
    [
        "specframe decod",
        "specframe decode --stratgy none",
        "specframe decode --dtype float8",
        "specframe decode --max-new-tokens many",
        "specframe decode one two",
        "specframe decode -m",
        "specframe train kangaroo -m MODEL --data texts.jsonl",
        "specframe bench compare first",
        "specframe trace",
        "specframe trace view",
    ],
)
def test_a_command_that_specframe_does_not_have_is_noticed(app, line):
    with pytest.raises((typer.TyperException, AssertionError)):
        parse(app, *commands_in(line))


def test_commands_are_found_as_people_read_them():
    text = '$ specframe decode "a # b" \\\n  --compare  # why\nerror: specframe plugins\n'
    text += "specframe plugins --json > all.json\n"
    assert commands_in(text) == [
        ["specframe", "decode", "a # b", "--compare"],
        ["specframe", "plugins", "--json"],
    ]


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_a_block_is_run_or_shown_or_the_sites(page):
    languages = {each["language"] for each in FENCE.finditer(page.read_text("utf-8"))}
    assert languages - RUN - SHOWN - SITE == set()


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_no_python_hides_where_it_is_not_run(page):
    assert [text for text in blocks(page, SHOWN) if calls_something(text)] == []


def calls_something(text):
    try:
        return any(isinstance(node, ast.Call) for node in ast.walk(ast.parse(text)))
    except SyntaxError:
        return False


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_targets_of_make_that_a_page_shows_are_there(page):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)
    shown = re.findall(r"^(?:\$ )?make ([a-z-]+)", "".join(blocks(page, {"console"})), re.MULTILINE)
    assert set(shown) - set(targets) == set()

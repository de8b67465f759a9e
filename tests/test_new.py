"""What ``specframe new`` writes and refuses; `make templates` installs and uses the packages."""

import importlib
import io
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from specframe._plugins.discovery import discover
from specframe._plugins.options import describe_options
from specframe._scaffold import write_package as _new
from specframe._scaffold.package_names import _PLAIN_NAME, KINDS, LICENCES, Names
from specframe.cli import _new as command
from specframe.cli import main

SHARED = [
    *(".github/workflows/test.yml", ".gitignore", "LICENSE", "Makefile", "README.md"),
    *("pyproject.toml", "src/specframe_echo/__init__.py"),
    *("src/specframe_echo/_options.py", "src/specframe_echo/py.typed"),
]
OWN = {
    "drafter": ["_drafter.py"],
    "verifier": ["_verifier.py"],
    "stop-policy": ["_stop_policy.py"],
    "strategy": ["_drafter.py", "_stop_policy.py"],
}
TABLES = {"drafter": ["drafter"], "verifier": ["verifier"], "stop-policy": ["stop policy"]}
TABLES["strategy"] = ["drafter", "stop policy"]
PREFIXES = {"drafter": "", "verifier": "verifier.", "stop policy": "stop."}
LICENCE_BEGINS = {
    "Apache-2.0": "Apache License\n",
    "MIT": "MIT License\n\nCopyright (c) ",
    "BSD-3-Clause": "BSD 3-Clause License\n\nCopyright (c) ",
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())


@pytest.fixture
def refused(capfd, tmp_path):
    """Run what must be refused; return its one sentence, after seeing that nothing was written."""

    def refused(*arguments):
        before = sorted(tmp_path.rglob("*"))
        capfd.readouterr()
        assert main(["new", *arguments]) == 2
        assert sorted(tmp_path.rglob("*")) == before
        out, message = capfd.readouterr()
        assert out == ""
        assert message.startswith("error: ")
        assert message.count("\n") == 1
        return message

    return refused


def texts(folder):
    return {path: path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_is_written_whole(kind, tmp_path, capfd):
    assert main(["new", kind, "echo"]) == 0
    own = [f"src/specframe_echo/{name}" for name in OWN[kind]]
    test = f"tests/test_{kind.replace('-', '_')}.py"
    found = [path.relative_to(tmp_path / "echo").as_posix() for path in texts(tmp_path / "echo")]
    assert sorted(found) == sorted([*SHARED, *own, test])
    assert [path.name for path in tmp_path.iterdir()] == ["echo"]
    out, err = capfd.readouterr()
    assert f"specframe decode {KINDS[kind].flag} echo\n" in out
    assert err == ""


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_it_has_to_be_deleted(kind, tmp_path):
    main(["new", kind, "echo", "--author", "Ada"])
    for path, text in texts(tmp_path / "echo").items():
        words = text.lower().replace("${{ matrix.python }}", "")
        for left_over in ("{{", "{%", "todo", "fixme", "replace me", "your ", "template"):
            assert left_over not in words or path.name == "LICENSE", (path, left_over)
        assert text == "" or text.endswith("\n")
        assert not text.endswith("\n\n")


@pytest.mark.parametrize("kind", KINDS)
def test_it_registers_under_the_name_as_typed(kind, tmp_path, monkeypatch):
    name = f"Two-words.{kind}_x"
    names = Names(name)
    assert main(["new", kind, name]) == 0
    project = tomllib.loads((tmp_path / name / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["entry-points"]["specframe"] == {name: names.package}
    _pretend_to_install(tmp_path / name, names, monkeypatch)
    registry = discover(name).registry
    assert registry.problems == registry.warnings == []
    readme = (tmp_path / name / "README.md").read_text(encoding="utf-8")
    for table in TABLES[kind]:
        component = registry.tables[table][name]
        for option in describe_options(component.options):
            assert f"\n| `{PREFIXES[table]}{option.name}` | {option.default} | " in readme
        assert component.plugin.distribution == names.distribution
        assert component.options is not None
        assert type(component.build()).__module__.startswith(names.package)
    assert (name in registry.bundles) == (kind == "strategy")


def _pretend_to_install(folder, names, monkeypatch):
    monkeypatch.syspath_prepend(folder / "src")
    about = folder / "src" / f"{names.package}-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Name: {names.distribution}\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text(f"[specframe]\n{names.name} = {names.package}\n")


@given(st.from_regex(_PLAIN_NAME, fullmatch=True))
def test_every_name_makes_identifiers_and_a_distribution(name):
    names = Names(name)
    assert names.package.isidentifier()
    assert names.package == names.package.lower()
    assert names.stem.isidentifier()
    assert canonicalize_name(names.distribution) == names.distribution


@pytest.mark.parametrize(
    ("name", "stem", "package"),
    [
        ("echo", "Echo", "specframe_echo"),
        ("phrase-table", "PhraseTable", "specframe_phrase_table"),
        ("specframe-echo", "SpecframeEcho", "specframe_echo"),
        ("GPT.drafter", "GPT", "specframe_gpt_drafter"),
        ("drafter", "Drafter", "specframe_drafter"),
        ("calm-stop-policy", "Calm", "specframe_calm_stop_policy"),
    ],
)
def test_names_are_derived_as_people_would(name, stem, package):
    assert (Names(name).stem, Names(name).package) == (stem, package)


@pytest.mark.parametrize(
    "name", ["", "2gram", "-echo", "echo-", "my echo", "écho", "a/b", "../a", "a=b", "a\n", "_a"]
)
def test_names_that_no_package_can_have_are_refused(name, refused):
    assert "cannot name a package" in refused("drafter", "--", name)


@pytest.mark.parametrize(
    ("kind", "name", "complaint"),
    [
        ("drafter", "class", "'class' is a keyword of Python"),
        ("drafter", "x" * 33, "has 33 characters: take 32 at most"),
        ("drafter", "kangaroo", "there is a strategy 'kangaroo' already, of plug-in"),
        ("strategy", "none", "there is a strategy 'none' already"),
        ("strategy", "fixed", "there is a stop policy 'fixed' already"),
        ("stop-policy", "fixed", "there is a stop policy 'fixed' already"),
        ("verifier", "greedy", "there is a verifier 'greedy' already"),
        ("drafter", "stops", "there is a plug-in 'stops' already, of specframe"),
        ("verifier", "early.exit", "specframe-early-exit is installed here already"),
        ("policy", "echo", "'policy' is not one of 'drafter', 'verifier', 'stop-policy'"),
    ],
)
def test_names_that_are_taken_are_refused_with_the_owner(kind, name, complaint, refused):
    assert complaint in refused(kind, name)


def test_a_name_of_a_plugin_that_is_installed_is_refused(tmp_path, monkeypatch, refused):
    main(["new", "drafter", "echo"])
    _pretend_to_install(tmp_path / "echo", Names("echo"), monkeypatch)
    assert "a plug-in 'echo' already, of specframe-echo" in refused("verifier", "echo")


def test_a_distribution_of_that_name_is_refused(tmp_path, monkeypatch, refused):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "specframe_echo-2.0.dist-info").mkdir()
    (tmp_path / "specframe_echo-2.0.dist-info" / "METADATA").write_text("Name: specframe-echo\n")
    assert "specframe-echo is installed here already" in refused("verifier", "echo")


def test_a_folder_with_something_in_it_is_refused(tmp_path, refused):
    (tmp_path / "echo").mkdir()
    (tmp_path / "echo" / "precious").touch()
    (tmp_path / "file").touch()
    assert "'echo' is not empty: name another folder with --output" in refused("drafter", "echo")
    assert "'file' is no folder" in refused("drafter", "echo", "--output", "file")


def test_an_empty_folder_is_filled_and_stays_the_same_one(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    inode = here.stat().st_ino
    assert main(["new", "drafter", "echo", "--output", "."]) == 0
    assert here.stat().st_ino == inode
    assert (here / "pyproject.toml").is_file()


def test_folders_above_are_made(tmp_path):
    assert main(["new", "drafter", "echo", "--output", "some/where/else"]) == 0
    assert (tmp_path / "some" / "where" / "else" / "LICENSE").is_file()
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["where"]


def test_a_failed_run_leaves_nothing(tmp_path, monkeypatch, refused):
    template = tmp_path / "template"
    shutil.copytree(_new.TEMPLATE, template)
    (template / "drafter" / "zzz.jinja").write_text("{% include 'what is not there' %}")
    monkeypatch.setattr(_new, "TEMPLATE", template)
    assert "what is not there" in refused("drafter", "echo", "--output", "some/where")


@pytest.mark.parametrize("licence", LICENCES)
def test_the_licence_is_the_chosen_one(licence, tmp_path):
    main(["new", "verifier", "echo", "--licence", licence, "--author", "Ada Lovelace"])
    project = tomllib.loads((tmp_path / "echo" / "pyproject.toml").read_text(encoding="utf-8"))
    readme = (tmp_path / "echo" / "README.md").read_text(encoding="utf-8")
    path = tmp_path / "echo" / "LICENSE"
    assert "Ada Lovelace." in readme.splitlines()[-1]
    if licence == "none":
        assert not path.exists()
        assert "All rights reserved." in readme
        assert not {"license", "license-files"} & project["project"].keys()
        return
    assert path.read_text(encoding="utf-8").strip().startswith(LICENCE_BEGINS[licence])
    assert ("Ada Lovelace" in path.read_text(encoding="utf-8")) == (licence != "Apache-2.0")
    assert project["project"]["license"] == licence


def test_make_can_name_every_file_of_the_template():
    assert [path for path in _new.TEMPLATE.rglob("*") if set(path.name) & set(" $#:")] == []


def test_our_licence_is_handed_on_word_for_word():
    ours = Path(__file__).parent.parent / "LICENSE"
    assert (_new.TEMPLATE / "licences" / "Apache-2.0.jinja").read_bytes() == ours.read_bytes()


def test_an_unknown_licence_is_refused(refused):
    assert "'GPL' is not one of 'Apache-2.0'" in refused("drafter", "echo", "--licence", "GPL")


@pytest.mark.parametrize("author", ['O\'Brien "Bob" \\ Ünal', "a # b = [c]", "山田"])
def test_any_author_is_quoted(author, tmp_path):
    main(["new", "drafter", "echo", "--author", author, "--licence", "MIT"])
    project = tomllib.loads((tmp_path / "echo" / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["authors"] == [{"name": author}]
    assert author in (tmp_path / "echo" / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("author", ["two\nlines", "  ", "a\x7fb"])
def test_an_author_of_no_one_line_is_refused(author, refused):
    assert "--author is " in refused("drafter", "echo", "--author", author)


SUMMARY = "copy O'Brien's n-grams, {{ as }} they were: ~50 % of 'em"


@pytest.mark.parametrize("kind", KINDS)
def test_a_summary_is_wherever_the_package_says_what_it_does(kind, tmp_path, monkeypatch):
    name, noun, usual = f"said-{kind}", KINDS[kind].noun, KINDS[kind].summary
    main(["new", kind, "usual"])
    main(["new", kind, name, "--summary", f" {SUMMARY}. "])
    project = tomllib.loads((tmp_path / name / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["description"] == f"specframe {noun}: {SUMMARY}"
    readme = (tmp_path / name / "README.md").read_text(encoding="utf-8")
    assert f"for specframe:\n{SUMMARY}.\n" in readme
    _pretend_to_install(tmp_path / name, Names(name), monkeypatch)
    registry = discover(name).registry
    part = (registry.strategies if kind == "strategy" else registry.tables[noun])[name]
    assert part.summary == SUMMARY
    if kind != "strategy":  # its two parts have their own words
        module = importlib.import_module(part.implementation.partition(":")[0])
        assert module.__doc__ == f"C{SUMMARY[1:]}."
        assert not any(usual in text for text in texts(tmp_path / name).values())
    assert any(usual in text for text in texts(tmp_path / "usual").values())


@pytest.mark.parametrize("summary", ['say "so"', "a\\b", "two\nlines", "", " . ", "a\u2028b"])
def test_a_summary_that_would_have_to_be_escaped_is_refused(summary, refused):
    message = refused("drafter", "echo", "--summary", summary)
    assert "give one line without double quotes and backslashes" in message


class Terminal(io.StringIO):
    """Look like a terminal."""

    def isatty(self):
        return True


def test_a_person_is_asked_until_the_answer_is_one(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdin", Terminal('a "b"\nguess well\nAda\nGPL\nmit\n'))
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert main(["new", "drafter", "echo"]) == 0
    licence = (tmp_path / "echo" / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License")
    assert licence.splitlines()[2].endswith(" Ada")
    assert "there is no licence 'GPL'" in sys.stderr.getvalue()
    assert "the summary is 'a \"b\"': give one line" in sys.stderr.getvalue()
    readme = (tmp_path / "echo" / "README.md").read_text(encoding="utf-8")
    assert "\nguess well.\n" in readme


def test_nobody_is_asked_where_the_answers_come_from_a_pipe(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert main(["new", "drafter", "echo"]) == 0
    assert sys.stderr.getvalue() == ""


def test_flags_leave_nothing_to_ask(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys, "stderr", Terminal())
    said = ["--summary", "guess well", "--author", "Ada", "--licence", "MIT"]
    assert main(["new", "drafter", "echo", *said]) == 0
    assert sys.stderr.getvalue() == ""


def test_without_git_the_package_itself_is_the_author(tmp_path, monkeypatch):
    monkeypatch.setattr(command.shutil, "which", lambda _: None)
    main(["new", "drafter", "echo", "--licence", "MIT"])
    assert "the authors of specframe-echo" in (tmp_path / "echo" / "LICENSE").read_text()

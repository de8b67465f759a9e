"""The house rules that a test can check."""

import ast
import importlib
import inspect
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from specframe._plugins import hooks

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGED = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
PLUGIN_ROOTS = ("strategies", "verifiers", "models")
SOURCES = sorted(path for package in PACKAGED for path in (ROOT / package).rglob("*.py"))
HOOKS = sorted(name for name in vars(hooks) if name.startswith("specframe_"))
HEAVY = ("torch", "transformers", "numpy", "safetensors", "cattrs", "jinja2")
LISTING = """
from specframe._plugins.options import describe_options
from specframe._plugins.discovery import load_registry

for drafter in load_registry().drafters.values():
    describe_options(drafter.options)
"""


def relative(path):
    return str(path.relative_to(ROOT))


def run_python(code):
    """Run ``code`` in a fresh interpreter, without the checkout on its path."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONSAFEPATH": "1"},
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("root", PLUGIN_ROOTS)
def test_every_plugin_folder_is_packaged_and_registered(root):
    folders = {path.parent.name for path in (ROOT / root).glob("*/__init__.py")}
    registered = PROJECT["project"]["entry-points"]["specframe"].values()
    assert folders == {Path(path).name for path in PACKAGED if path.startswith(f"{root}/")}
    assert folders <= {value.partition(":")[0] for value in registered}
    typed = [path for glob in PROJECT["tool"]["mypy"]["files"] for path in ROOT.glob(glob)]
    assert {ROOT / root / folder for folder in folders} <= set(typed)
    assert folders <= set(PROJECT["tool"]["importlinter"]["root_packages"])


@pytest.mark.parametrize("root", PLUGIN_ROOTS)
def test_the_source_roots_hold_packages_only(root):
    strays = [path.name for path in (ROOT / root).iterdir() if path.is_file()]
    assert strays == []


@pytest.mark.parametrize("package", PACKAGED)
def test_every_package_is_typed(package):
    assert (ROOT / package / "py.typed").is_file()


@pytest.mark.parametrize("package", PACKAGED)
def test_every_file_of_a_package_is_installed(package):
    """Weights and texts as well as modules: what the wheel forgets is missing here."""
    installed = Path(importlib.import_module(Path(package).name).__file__).parent
    files = [path for path in (ROOT / package).rglob("*") if path.is_file()]
    names = [path.relative_to(ROOT / package) for path in files if "__pycache__" not in path.parts]
    assert [str(name) for name in names if not (installed / name).is_file()] == []


@pytest.mark.models
@pytest.mark.parametrize("package", [Path(package).name for package in PACKAGED])
def test_public_names_are_sorted_and_exist(package):
    module = importlib.import_module(package)
    names = list(getattr(module, "__all__", ()))
    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_files_and_functions_stay_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    functions = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [each.name for each in functions if each.end_lineno - each.lineno >= 60] == []


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_and_tested(hook):
    pages = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("docs/**/*.md"))
    assert inspect.getdoc(getattr(hooks, hook))
    assert f"`{hook}(" in pages
    assert hook in (ROOT / "tests" / "test_plugins.py").read_text(encoding="utf-8")


def test_hook_parameters_are_those_of_the_documentation():
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    for hook in HOOKS:
        parameters = ", ".join(inspect.signature(getattr(hooks, hook)).parameters)
        assert f"`{hook}({parameters})`" in page


@pytest.mark.parametrize(
    "code",
    [
        "import specframe",
        "from specframe._plugins.discovery import load_registry; load_registry().strategies",
        LISTING,
    ],
)
def test_importing_and_listing_loads_nothing_heavy(code):
    loaded = run_python(f"{code}\nimport sys; print(*[n for n in {HEAVY} if n in sys.modules])")
    assert loaded.split() == []


def test_options_are_read_without_torch():
    code = (
        "from specframe._plugins.discovery import load_registry as load\n"
        "from specframe._plugins.options import structure_options\n"
        "r = load(); o = r.strategy_options(r.strategy('kangaroo'))\n"
        "print(structure_options(o, {'steps': '4'}, owner='x').steps)\n"
        "import sys; print('torch' in sys.modules)"
    )
    assert run_python(code).split() == ["4", "False"]


def test_the_testing_kit_is_imported_by_no_runtime_module():
    runtime = [path for path in SOURCES if "testing" not in path.parts]
    users = [
        relative(path)
        for path in runtime
        if "specframe.testing" in _imported(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert users == []


def _imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def drawn():
    """Return the script that draws the rooms from their imports."""
    sys.path.insert(0, str(ROOT / "docs" / "pictures"))
    try:
        return importlib.import_module("rooms")
    finally:
        sys.path.pop(0)


def test_no_room_imports_from_a_higher_one(drawn):
    order = drawn.floors()
    rooms = {room for floor in order for room in floor}
    folders = {path.parent.name for path in (ROOT / "specframe").glob("*/__init__.py")}
    assert rooms == folders
    assert drawn.upward(order, drawn.imports(rooms)) == set()


def test_the_picture_of_the_rooms_is_of_today(drawn):
    picture = ROOT / "docs" / "pictures" / "rooms.svg"
    assert picture.read_text("utf-8") == drawn.draw_rooms().svg(), "docs/pictures/rooms.py draws it"


def test_the_architecture_page_names_every_room(drawn):
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Rooms")[2].partition("## ")[0]
    missing = [room for floor in drawn.floors() for room in floor if f"`{room}`" not in table]
    assert missing == []


def test_the_tests_run_against_the_installed_copy_in_ci():
    specframe = importlib.import_module("specframe")
    # .venv-tools is for work on the sources as they stand.
    if ".venv-" in sys.prefix and not sys.prefix.endswith(".venv-tools"):
        assert Path(specframe.__file__).is_relative_to(Path(sys.prefix).parent)
        assert not Path(specframe.__file__).is_relative_to(ROOT / "specframe")

"""The packages in examples/: a stranger's plug-in does what our pages say of it."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from specframe._plugins import hooks

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/pyproject.toml"))
PUBLIC = ("specframe", "specframe.training")
PUBLIC_TO_TESTS = (*PUBLIC, "specframe.testing")


def names(paths):
    return [path.name for path in paths]


def package_of(example):
    return example / f"specframe_{example.name.replace('-', '_')}"


def imported(paths):
    """Yield (module, name) of everything imported from specframe or its parts."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
                yield from ((name, None) for name in modules if name.startswith("specframe"))
            if isinstance(node, ast.ImportFrom) and node.module.startswith("specframe"):
                yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("hook", sorted(name for name in vars(hooks) if "specframe_" in name))
def test_every_hook_but_that_of_commands_has_an_example(hook):
    entries = [(package_of(example) / "__init__.py").read_text("utf-8") for example in EXAMPLES]
    users = [text for text in entries if f"def {hook}(" in text]
    assert users or hook == "specframe_register_commands"


@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
def test_an_example_is_a_whole_package(example):
    package = package_of(example)
    project = tomllib.loads((example / "pyproject.toml").read_text("utf-8"))["project"]
    (entry,) = project["entry-points"]["specframe"].values()
    assert entry.partition(":")[0] == package.name
    assert project["name"] == f"specframe-{example.name}"
    assert (package / "py.typed").is_file()
    assert list(example.glob("tests/test_*.py"))
    assert project["name"] in (example / "README.md").read_text("utf-8")
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert package in [path for glob in ours["tool"]["mypy"]["files"] for path in ROOT.glob(glob)]
    assert f"](../examples/{example.name})" in (ROOT / "docs/examples.md").read_text("utf-8")


@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
@pytest.mark.parametrize(("part", "public"), [("*", PUBLIC), ("tests", PUBLIC_TO_TESTS)])
def test_an_example_imports_public_names_only(example, part, public):
    folder = package_of(example) if part == "*" else example / part
    own = package_of(example).name
    for module, name in imported(folder.rglob("*.py")):
        if module.partition(".")[0] == own:
            continue
        assert module in public
        assert name is None or name in importlib.import_module(module).__all__, name


def packages_in(path):
    """Yield the top-level package of everything that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def undeclared(files, requirements):
    """Return the packages that files import and requirements do not name, Python's own aside."""
    needed = {package for path in files for package in packages_in(path)}
    return needed - {re.match(r"[\w-]+", each)[0].replace("-", "_") for each in requirements}


@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
def test_an_example_declares_what_it_imports(example):
    project = tomllib.loads((example / "pyproject.toml").read_text("utf-8"))["project"]
    needed = project["dependencies"]
    code = undeclared(package_of(example).rglob("*.py"), needed)
    assert code - sys.stdlib_module_names == {package_of(example).name} & code
    kit = [*needed, *project["optional-dependencies"]["testing"], "pytest", "hypothesis"]
    tests = undeclared(example.glob("tests/*.py"), kit)
    assert tests - sys.stdlib_module_names == {package_of(example).name} & tests


def test_an_import_that_is_not_declared_is_noticed(tmp_path):
    code = tmp_path / "a.py"
    code.write_text("import os.path\nfrom torch.nn import Linear\nimport attrs, numpy\n")
    found = undeclared([code], ["attrs>=23", "specframe>=0.1"])
    assert found - sys.stdlib_module_names == {"torch", "numpy"}


@pytest.mark.parametrize("example", EXAMPLES, ids=names(EXAMPLES))
def test_the_code_of_an_example_is_short(example):
    for path in example.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        spans = [
            node.end_lineno - node.lineno + 1
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef)
        ]
        assert max(spans, default=0) <= 30, path


def test_the_drafter_in_ten_lines_has_ten_lines_at_most():
    tree = ast.parse((ROOT / "examples/last-time/specframe_last_time/_drafter.py").read_text())
    (drafter,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert drafter.end_lineno - drafter.lineno + 1 <= 10


def test_the_entry_modules_of_all_examples_import_no_torch():
    packages = [package_of(example).name for example in EXAMPLES]
    code = f"import sys, {', '.join(packages)}; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*map(str, EXAMPLES), *sys.path])},
        text=True,
    )
    assert done.stdout.strip() == "False"

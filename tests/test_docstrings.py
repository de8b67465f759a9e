"""Public docstrings say what a signature does not: errors, keys of dictionaries, strings."""

import ast
import builtins
import enum
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Mapping
from functools import cache

import attrs
import pytest

MODULES = ("specframe", "specframe.testing", "specframe.training")
# Names whose docstrings still leave something out; the test below empties the list.
MAKERS = {"__init__", "__attrs_post_init__", "__init_subclass__"}  # told by the class's docstring
REASONS = ("eos", "stop", "length", "criteria", "context")
# What strings of these names are, and the keys of dictionaries, wherever they are fields.
VALUES = {
    ("finish_reason", "str | None"): REASONS,
    ("finish_reasons", "list[str | None]"): REASONS,
    ("reasons", "list[str | None]"): REASONS,
    ("seconds", "dict[str, float]"): ("prefill", "draft", "verify", "other"),
}
# Errors that come through calls to other rooms, which the text of a function does not show.
THROUGH_CALLS = {
    "specframe.AllPolicy.limit": ["PluginError"],
    "specframe.AnyPolicy.limit": ["PluginError"],
    "specframe.Decoder.decode": ["InputError", "NumericsError", "PluginError"],
    "specframe.Engine.open": ["MemoryShortageError"],
    "specframe.FirstDrafter": ["InputError", "PluginError"],
    "specframe.LongestDrafter": ["InputError", "PluginError"],
    "specframe.Target.commit": ["PluginError"],
    "specframe.Target.open": ["InputError", "ModelError"],
    "specframe.Target.prefill": ["MemoryShortageError", "NumericsError"],
    "specframe.Target.score": ["NumericsError", "PluginError"],
    "specframe.decode": ["InputError", "ModelError", "UnknownNameError"],
    "specframe.grow_chain": ["PluginError"],
    "specframe.leave": ["PluginError"],
    "specframe.load": ["InputError", "ModelError", "OptionError", "UnknownNameError"],
    "specframe.rounds": ["MemoryShortageError", "NumericsError", "PluginError"],
    "specframe.testing.check_strategy": ["ConformanceError", "OptionError", "UnknownNameError"],
    "specframe.testing.check_verifier": ["ConformanceError", "OptionError", "UnknownNameError"],
}
CLASS = "\n--- of its class: ---\n"
OF_KEYS = r"\b(?:maps?|mapping|keys?|by)\b"


@attrs.frozen(eq=False)
class Source:
    """A module's text as a tree, and what its names mean."""

    tree: ast.Module
    names: dict

    def function(self, name, cls=None):
        """Return the function ``name`` of the module, or the method of a class."""
        body = self.tree.body if cls is None else cls.body
        return next((each for each in body if is_function(each) and each.name == name), None)

    def meaning(self, node):
        """Return what a name or a dotted name means at run time, or None."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, getattr(builtins, node.id, None))
        if isinstance(node, ast.Attribute):
            return getattr(self.meaning(node.value), node.attr, None)
        return None


@attrs.frozen(eq=False)
class Entry:
    """One function, method or class, with all that is said of it."""

    label: str
    source: Source
    functions: list
    fields: list
    text: str
    cls: ast.ClassDef | None = None
    has_work: bool = True  # it does something that may fail, and is named without a class

    def __repr__(self):
        return self.label


def is_function(node):
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


@cache
def source_of(module):
    return Source(ast.parse(inspect.getsource(sys.modules[module])), vars(sys.modules[module]))


def home(module, name, value):
    """Return the module in which a public name is written, or None for what is no text of ours."""
    homes = getattr(importlib.import_module(module), "_HOMES", {})
    found = f"{module}.{homes[name]}" if name in homes else getattr(value, "__module__", "")
    return found if found in sys.modules and found.startswith("specframe.") else None


def entries():
    """Yield every public function, class and method once."""
    public = [
        (module, name, getattr(importlib.import_module(module), name))
        for module in MODULES
        for name in importlib.import_module(module).__all__
    ]
    classes = {value for _, _, value in public if inspect.isclass(value)}
    for module, name, value in public:
        where = home(module, name, value)
        if where is None:
            continue
        if inspect.isclass(value):
            bases = [each for each in value.__mro__[1:] if each not in classes]
            yield from entries_of_class(f"{module}.{name}", [value, *bases])
        elif function := source_of(where).function(name):
            text = inspect.getdoc(value) or ast.get_docstring(function)
            yield Entry(f"{module}.{name}", source_of(where), [function], [], text)


def entries_of_class(label, lineage):
    """Yield a class and its public methods, with those of bases that have no public name."""
    seen = set()
    lineage = [cls for cls in lineage if cls.__module__.startswith("specframe")]
    told = "\n".join(filter(None, (inspect.cleandoc(cls.__doc__ or "") for cls in lineage)))
    for cls in lineage:
        source = source_of(cls.__module__)
        node = next(
            each
            for each in source.tree.body
            if isinstance(each, ast.ClassDef) and each.name == cls.__name__
        )
        methods = [each for each in node.body if is_function(each) and each.name not in seen]
        seen.update(each.name for each in methods)
        makers = [each for each in methods if each.name in MAKERS]
        own = [told, *map(ast.get_docstring, makers), *texts_of_fields(node)]
        text = "\n".join(filter(None, own))
        yield Entry(label, source, makers, fields_of(node), text, node, does_something(lineage))
        for each in methods:
            if not each.name.startswith("_") or each.name == "__call__":
                said = inspect.getdoc(getattr(cls, each.name, None)) or ast.get_docstring(each)
                words = f"{said}{CLASS}{text}"
                yield Entry(f"{label}.{each.name}", source, [each], [], words, node, has_work=False)


def does_something(lineage):
    """Tell a class that works from one that holds values, names them or describes others."""
    cls = lineage[0]
    is_described = getattr(cls, "_is_protocol", False) or issubclass(cls, Exception | enum.Enum)
    return not (attrs.has(cls) or is_described)


def fields_of(node):
    """Return the annotated public fields of a class."""
    return [
        each
        for each in node.body
        if isinstance(each, ast.AnnAssign)
        and isinstance(each.target, ast.Name)
        and not each.target.id.startswith("_")
    ]


def texts_of_fields(node):
    """Return the strings that follow fields in a class."""
    return [
        inspect.cleandoc(each.value.value)
        for each in node.body[1:]
        if isinstance(each, ast.Expr) and isinstance(getattr(each.value, "value", None), str)
    ]


def errors_of(entry):
    """Return the classes of error that an entry raises, itself or in a helper beside it."""
    nodes = [*entry.functions, *(each.value for each in entry.fields if each.value)]
    helpers = [helper for node in nodes for helper in helpers_of(node, entry)]
    found = [raised(each, entry) for node in [*nodes, *helpers] for each in ast.walk(node)]
    return {error for error in found if error is not None}


def helpers_of(node, entry):
    """Return the functions of the same module or class that a node calls or names."""
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
            helper = entry.source.function(each.id)
        elif isinstance(each, ast.Attribute) and entry.cls and each.attr.startswith("_"):
            is_own = isinstance(each.value, ast.Name) and each.value.id in {"self", "cls"}
            helper = entry.source.function(each.attr, entry.cls) if is_own else None
        else:
            continue
        if helper is not None:
            yield helper


def raised(node, entry):
    """Return the class of error that a ``raise`` raises, where that can be seen."""
    if not isinstance(node, ast.Raise) or node.exc is None:
        return None
    made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    meaning = entry.source.meaning(made)
    if isinstance(meaning, types.FunctionType):
        meaning = typing.get_type_hints(meaning, meaning.__globals__).get("return")
    if isinstance(made, ast.Attribute) and made.attr in {"fault", "_fault"}:
        meaning = importlib.import_module("specframe").PluginError
    is_error = inspect.isclass(meaning) and issubclass(meaning, Exception)
    return meaning if is_error else None


def is_named(error, text):
    """Tell whether a text names an error; one without a public name, by a base that has one."""
    public = vars(builtins) | {
        name: getattr(importlib.import_module(module), name)
        for module in MODULES
        for name in importlib.import_module(module).__all__
    }
    names = next(
        (base.__name__ for base in error.__mro__ if public.get(base.__name__) is base), "Exception"
    )
    return re.search(rf"\b(?:{error.__name__}|{names})\b", text) is not None


def annotations_of(entry):
    """Yield what is annotated: its name ('' for what is returned) and the annotation."""
    for function in entry.functions:
        own = function.args
        for argument in [*own.posonlyargs, *own.args, *own.kwonlyargs]:
            if argument.annotation and not argument.arg.startswith("_"):
                yield argument.arg, argument.annotation
        if function.returns:
            yield "", function.returns
    for field in entry.fields:
        yield field.target.id, field.annotation


def parts_of(annotation, source):
    """Yield all types that an annotation is made of, aliases resolved."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    for node in ast.walk(annotation):
        meaning = source.meaning(node) if isinstance(node, ast.Name | ast.Attribute) else None
        if isinstance(node, ast.Subscript) and source.meaning(node.value) is typing.Literal:
            meaning = typing.Literal[ast.literal_eval(node.slice)]
        if meaning is not None:
            yield from unfolded(meaning)


def unfolded(meaning):
    yield meaning
    yield typing.get_origin(meaning)
    if typing.get_origin(meaning) is not typing.Literal:
        for part in typing.get_args(meaning):
            yield from unfolded(part) if not isinstance(part, list) else ()


def silent_errors(entry):
    """Return the errors that the docstring leaves out."""
    errors = sorted(errors_of(entry), key=lambda error: error.__name__)
    found = [f"raises {error.__name__}" for error in errors if not is_named(error, entry.text)]
    says_nothing = entry.has_work and not re.search(r"\b[Rr]ais|Error\b", entry.text)
    return found or ["whether it raises"] * says_nothing


def silent_keys(entry):
    """Return the dictionaries of which the docstring does not say what they map."""
    clauses = [" ".join(clause.split()) for clause in re.split(r"[.;](?:\s|$)", entry.text)]
    about_keys = [clause for clause in clauses if re.search(OF_KEYS, clause)]
    return [
        f"keys of {name or 'what is returned'}"
        for name, annotation in annotations_of(entry)
        if {dict, Mapping} & set(filter(callable, parts_of(annotation, entry.source)))
        and not any(re.search(rf"\b{name}\b", clause) for clause in about_keys)
    ]


def silent_values(entry):
    """Return the allowed values that the docstring leaves out."""
    allowed = [
        (name, str(value))
        for name, annotation in annotations_of(entry)
        for part in parts_of(annotation, entry.source)
        if typing.get_origin(part) is typing.Literal
        for value in typing.get_args(part)
    ]
    allowed += [
        (field.target.id, value)
        for field in entry.fields
        for value in VALUES.get((field.target.id, ast.unparse(field.annotation)), ())
    ]
    return [
        f"value {value!r} of {name or 'what is returned'}"
        for name, value in dict.fromkeys(allowed)
        if not re.search(rf"(?<!\w){re.escape(value)}(?!\w)", entry.text)
    ]


ENTRIES = list(entries())


@pytest.mark.parametrize("silent", [silent_errors, silent_keys, silent_values])
def test_every_public_docstring_tells_errors_keys_and_values(silent):
    missing = {each.label: silent(each) for each in ENTRIES}
    assert {label: what for label, what in missing.items() if what} == {}


@pytest.mark.parametrize("label", THROUGH_CALLS)
def test_errors_from_other_rooms_are_named_by_the_docstring_itself(label):
    (entry,) = [each for each in ENTRIES if each.label == label and each.functions + each.fields]
    assert [
        name for name in THROUGH_CALLS[label] if name not in entry.text.partition(CLASS)[0]
    ] == []


def test_no_public_name_is_left_out():
    labels = {each.label for each in ENTRIES}
    names = [f"{m}.{name}" for m in MODULES for name in importlib.import_module(m).__all__]
    values = {"API_VERSION", "Guarantee", "Look", "hookimpl", "Check", "not_nan", "not_negative"}
    assert [
        each for each in names if each not in labels and each.split(".")[-1] not in values
    ] == []
    assert {"specframe.Target.score", "specframe.FirstDrafter.ask"} <= labels


FAULTY = '''
"""A module whose docstrings say too little."""
from typing import Literal
from specframe import InputError, PluginError
Level = Literal["basic", "full"]

def check(level: Level, sizes: dict[str, int] | None = None) -> dict[str, int]:
    """Do something at one level."""
    if level != "basic":
        raise InputError("no")
    return _sized(sizes)

def _sized(sizes):
    if not sizes:
        raise _fault()
    return sizes

def _fault() -> PluginError:
    return PluginError("no")
'''
WORDS = {
    "at one level.": 'at "basic" or "full".',
    "something": "something with ``sizes``, by name, or raise InputError or PluginError,",
}


def test_a_docstring_that_leaves_something_out_is_noticed():
    assert noticed(FAULTY) == [
        "raises InputError",
        "raises PluginError",
        "keys of sizes",
        "keys of what is returned",
        "value 'basic' of level",
        "value 'full' of level",
    ]
    assert noticed(FAULTY.replace("    if ", "    while ").replace("raise ", "")) == [
        "whether it raises",
        *noticed(FAULTY)[2:],
    ]
    told = FAULTY
    for few, enough in WORDS.items():
        told = told.replace(few, enough)
    assert noticed(told) == []


def noticed(text):
    module = types.ModuleType("specframe.faulty")
    exec(text, vars(module))
    source = Source(ast.parse(text), vars(module))
    function = source.function("check")
    entry = Entry("check", source, [function], [], ast.get_docstring(function))
    return [*silent_errors(entry), *silent_keys(entry), *silent_values(entry)]

"""Check every shape annotation of specframe while its tests run.

Annotations are jaxtyping's. Each public or private function that has one is wrapped: within one
call, an axis name means one length. The generated ``__init__`` of attrs classes is checked by
its fields, which jaxtyping's own import hook passes over.
"""

import functools
import importlib
import inspect
import pkgutil
import types

import jaxtyping
import torch

PACKAGES = (
    "specframe",
    "specframe_composed",
    "specframe_draft_model",
    "specframe_early_exit",
    "specframe_kangaroo",
    "specframe_models",
    "specframe_plain",
    "specframe_stops",
    "specframe_verifiers",
)
CHECKED_ELSEWHERE = ("Draft.__init__",)  # by check_draft, which is what its tests are about
LEFT_OUT = object()
APART = {
    "__main__",
    "_trace",
    "bench",
    "cli",
    "testing",
    "training",
    "_training_arguments",
    "_training_progress",
    "_training",
    "_trainer",
    "_run_folder",
    "_teacher",
}


def install():
    """Wrap what the modules of PACKAGES define; return how many functions were wrapped."""
    return sum(wrap_members(module, module.__name__) for module in modules())


def modules():
    for package in map(importlib.import_module, PACKAGES):
        yield package
        yield from modules_below(package)


def modules_below(package):
    """Yield all modules of a package and of the rooms in it, but for the exceptions."""
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if found.name.rpartition(".")[2] not in APART:
            module = importlib.import_module(found.name)
            yield module
            if found.ispkg:
                yield from modules_below(module)


def wrap_members(owner, home):
    wrapped = 0
    for name, member in list(vars(owner).items()):
        if getattr(member, "__module__", None) != home:
            continue
        if inspect.isclass(member):
            wrapped += wrap_members(member, home)
        elif isinstance(member, types.FunctionType):
            hints = shapes_of(member)
            if hints and member.__qualname__ not in CHECKED_ELSEWHERE:
                setattr(owner, name, checked(member, hints))
                wrapped += 1
    return wrapped


def shapes_of(function):
    """Return the annotations of a function that speak of shapes, evaluated."""
    named = {}
    for name, hint in getattr(function, "__annotations__", {}).items():
        if isinstance(hint, str) and "Tensor, " in hint and "Callable" not in hint:
            try:
                named[name] = eval(hint, function.__globals__)
            except (NameError, TypeError):  # imported for type checkers alone
                continue
    return {name: hint for name, hint in named.items() if is_checkable(hint)}


def is_checkable(hint):
    parts = hint.__args__ if isinstance(hint, types.UnionType) else (hint,)
    return not any(hasattr(part, "__origin__") for part in parts)


def checked(function, hints):
    """Wrap a function; what has passed once is not checked again, or tests take twice as long."""
    places = {name: at for at, name in enumerate(inspect.signature(function).parameters)}
    asked = [(name, places[name]) for name in hints if name != "return"]
    passed = set()

    def expect(values):
        kinds = tuple(map(kind_of, values.values()))
        if kinds not in passed:
            check(function, values, hints)
            passed.add(kinds)

    @functools.wraps(function)
    def run(*arguments, **named):
        if torch.compiler.is_compiling():  # the compiler cannot look into these checks
            return function(*arguments, **named)
        values = {
            name: arguments[at] if at < len(arguments) else named.get(name, LEFT_OUT)
            for name, at in asked
        }
        expect(values)
        answer = function(*arguments, **named)
        if "return" in hints:
            expect(values | {"return": answer})
        return answer

    return run


def kind_of(value):
    """Return all of a value that its annotation can speak of."""
    return (value.dtype, value.shape) if isinstance(value, torch.Tensor) else type(value)


def check(function, values, hints):
    with jaxtyping.jaxtyped("context"):
        for name, value in values.items():
            if value is not LEFT_OUT and not isinstance(value, hints[name]):
                shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value)
                raise TypeError(f"{function.__qualname__}: {name} is {shape}, not {hints[name]}")

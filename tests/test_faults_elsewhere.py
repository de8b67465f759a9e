"""Faults of plug-ins outside the loop: families, trainers, settings, commands; and whose they are.

Those of drafts, verdicts and stops are in `test_faults.py`.
"""

import importlib
import sys
import textwrap

import pytest

import specframe
from specframe import ModelError, PluginError
from specframe._loading.loading import Source, load_model
from specframe._plugins.discovery import _discover_once, load_registry
from specframe.cli import main

pytestmark = pytest.mark.models
PROMPT = [3, 14, 15, 9]
WHOSE = "plug-in 'bad' (specframe-bad 0.3) "
HOOKS = """
    import typer
    from specframe import hookimpl

    @hookimpl
    def specframe_register_drafters(register):
        register("bad", "bad_pack.parts:Bad")

    @hookimpl
    def specframe_register_stop_policies(register):
        register("bad", "bad_pack.policy:Policy")

    @hookimpl
    def specframe_register_families(register):
        register("planted-bad", "bad_pack.parts:Bad")

    @hookimpl
    def specframe_register_trainers(register):
        register("bad", "bad_pack.parts:train")

    @hookimpl
    def specframe_register_commands(app):
        @app.command()
        def fails():
            from bad_pack import parts

            parts.fail()
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a plug-in with the modules given, named ``bad``; return where ``# HERE`` is."""
    monkeypatch.syspath_prepend(tmp_path)
    names = []

    def install(plugin="bad", **modules):
        folder = tmp_path / f"{plugin}_pack"
        folder.mkdir()
        for name, source in {"__init__": HOOKS, **modules}.items():
            written = textwrap.dedent(source).lstrip().replace("bad", plugin)
            (folder / f"{name}.py").write_text(written)
        info = tmp_path / f"specframe_{plugin}-0.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: specframe-{plugin}\nVersion: 0.3\n")
        (info / "entry_points.txt").write_text(f"[specframe]\n{plugin} = {plugin}_pack\n")
        names.append(plugin)
        monkeypatch.setenv("SPECFRAME_PLUGINS", ",".join(names))
        _discover_once.cache_clear()
        assert not load_registry().problems
        marks = [
            f"{file}:{number}"
            for file in sorted(folder.glob("*.py"))
            for number, line in enumerate(file.read_text().splitlines(), 1)
            if "# HERE" in line
        ]
        return marks[0] if marks else None

    yield install
    _discover_once.cache_clear()
    packages = {f"{name}_pack" for name in names}
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        sys.modules.pop(name)


FAMILY = """
    import attrs
    from specframe_models._llama import LlamaFamily

    class Bad(LlamaFamily):
        {}
"""
CHANGED = """def split(self, model, *, owned):  # HERE
            split = super().split(model, owned=owned)
            return attrs.evolve(split, {})
"""
IN_FAMILY = {
    "refusal raises": (
        "def refusal(self, model): return model.config.nothing  # HERE",
        "raised in family 'planted-bad' at {}: AttributeError: ",
    ),
    "run_stock raises": (
        "def run_stock(self, model, tokens): return 1 / 0  # HERE",
        "raised in family 'planted-bad' at {}: ZeroDivisionError: ",
    ),
    "split raises": (
        "def split(self, model, *, owned): return [][0]  # HERE",
        "raised in family 'planted-bad' at {}: IndexError: ",
    ),
    "a part of the split raises": (
        CHANGED.replace("  # HERE", "").format("norm=lambda x: 1 / 0,  # HERE\n        "),
        "raised in family 'planted-bad' at {}: ZeroDivisionError: ",
    ),
    "a part of the split does not run": (
        CHANGED.format("head_dim=3"),
        "broke its contract in family 'planted-bad': what split makes of this model does not run: ",
    ),
    "refusal answers no": (
        "def refusal(self, model): return False  # HERE",
        "refusal must return a reason or None, got False (returned by Bad.refusal, {})",
    ),
    "run_stock answers nothing": (
        "def run_stock(self, model, tokens): pass  # HERE",
        "run_stock must return a tensor, got None (returned by Bad.run_stock, {})",
    ),
    "split answers nothing": (
        "def split(self, model, *, owned): pass  # HERE",
        "split must return a specframe.Split, got None (returned by Bad.split, {})",
    ),
}


def planted(tiny):
    """Return a model of a type that no built-in family covers."""
    model = tiny.model()
    model.config.model_type = "planted-bad"
    return model


@pytest.mark.parametrize("fault", IN_FAMILY)
def test_a_fault_of_a_family_adapter_is_one_message(tiny, install, fault):
    method, words = IN_FAMILY[fault]
    line = install(parts=FAMILY.format(method))
    with pytest.raises(PluginError) as caught:
        load_model(Source(planted(tiny)), load_registry())
    message = str(caught.value)
    assert message.startswith(WHOSE)
    assert words.format(line) in message
    assert line in message
    assert "uninstall specframe-bad" in message


def test_a_family_adapter_of_another_class_is_refused(tiny, install):
    install(parts="class Bad: pass")
    with pytest.raises(PluginError) as caught:
        load_model(Source(planted(tiny)), load_registry())
    assert str(caught.value).startswith(
        f"{WHOSE}registers Bad as family 'planted-bad', which does not derive from specframe.Family"
    )


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("def refusal(self, model): return 'it is odd'", "cannot split this model: it is odd"),
        (
            "def run_stock(self, model, tokens): return super().run_stock(model, tokens) * 1.01",
            "does not fit this model: its layers",
        ),
        (
            CHANGED.format("layers=split.layers[1:]"),
            "does not fit this model: the engine's logits differ",
        ),
    ],
)
def test_a_family_adapter_that_does_not_fit_is_named_with_its_plugin(tiny, install, method, words):
    install(parts=FAMILY.format(method))
    with pytest.raises(ModelError) as caught:
        load_model(Source(planted(tiny)), load_registry())
    assert str(caught.value).startswith(f"family 'planted-bad' of {WHOSE}{words}")


def test_a_model_that_does_not_run_is_not_blamed_on_its_family(tiny, install):
    install(parts=FAMILY.format("pass"))
    model = planted(tiny)
    model.forward = lambda *_, **__: 1 / 0
    with pytest.raises(ZeroDivisionError):
        load_model(Source(model), load_registry())


TRAIN = ["train", "bad", "-m", "nowhere", "--data", "nothing", "--output", "nowhere"]
TRAINERS = {
    "def train(request): request.nothing  # HERE": "raised in trainer 'bad' at {}: AttributeError",
    "train = 3": "registers 3 as trainer 'bad', which cannot be called",
}


@pytest.mark.parametrize("source", TRAINERS)
def test_a_fault_of_a_trainer_is_one_message(install, capsys, source):
    line = install(parts=source)
    assert main(TRAIN) != 0
    message = capsys.readouterr().err
    assert WHOSE + TRAINERS[source].format(line) in message
    assert "unexpected" not in message


def test_what_a_trainer_refuses_is_said_as_it_says_it(install, capsys):
    install(
        parts="import specframe\n\n"
        "def train(request): raise specframe.InputError('the data are too few')"
    )
    assert main(TRAIN) != 0
    assert "error: the data are too few" in capsys.readouterr().err


def test_a_fault_of_a_command_is_one_message(install, capsys):
    line = install(parts="def fail(): 1 / 0  # HERE")
    assert main(["fails"]) != 0
    assert (
        f"{WHOSE}raised at {line}: ZeroDivisionError: division by zero." in capsys.readouterr().err
    )


DRAFTER = """
    from bad_pack import helper
    from specframe import SequenceDrafter, StopPolicy

    class Bad(SequenceDrafter):
        def guess(self, tokens, room): return helper.guess()

        {}
"""
POLICY = """
    from bad_pack import helper
    from specframe import StopPolicy

    class Policy(StopPolicy):
        def limit(self, rows): return helper.limit(rows)
"""
HELPER = """
    def guess(): return [3]
    def limit(rows): return [2] * len(rows)
    def never(ids, scores): return False
"""
BESIDE_THE_LOOP = {
    "def settings(self): return 1 / 0  # HERE": "raised in drafter 'bad' at {}: ZeroDivisionError",
    "def stop_settings(self): return 1 / 0  # HERE": "raised in drafter 'bad' at {}: ZeroDivisionE",
    "def reset(self): return 1 / 0  # HERE": "raised in drafter 'bad' at {}: ZeroDivisionError",
    "def prepare(self, target): return 1 / 0  # HERE": "raised in drafter 'bad' at {}: ZeroDivisio",
    "def settings(self): return [3]  # HERE": "settings must return a mapping of option names to "
    "values, got [3] (returned by Bad.settings, {})",
    "def stop_settings(self): pass  # HERE": "stop_settings must return a mapping of option names "
    "to values, got None (returned by Bad.stop_settings, {})",
    "def stop_settings(self): return {'steps': 0}  # HERE": "broke its contract in drafter 'bad': "
    "stop_settings must return values that the stop policy takes: option 'steps' of stop policy "
    "'fixed' must be a whole number >= 1, got 0 (returned by Bad.stop_settings, {})",
    "capabilities = None": "capabilities must be Capabilities, got None (declared by Bad, ",
}


@pytest.mark.parametrize("method", BESIDE_THE_LOOP)
def test_a_fault_of_a_drafter_beside_the_loop_is_one_message(tiny, install, method):
    line = install(parts=DRAFTER.format(method), policy=POLICY, helper=HELPER)
    with pytest.raises(PluginError) as caught:
        specframe.load(tiny.model(), strategy="bad").reset()
    message = str(caught.value)
    assert message.startswith(WHOSE)
    assert BESIDE_THE_LOOP[method].replace("{}", str(line)) in message


def test_a_value_of_the_users_that_does_not_go_with_a_drafters_is_the_users(tiny, install):
    suggests = "def stop_settings(self): return {'least': 5}"
    install(__init__=HOOKS + BOUNDED, parts=DRAFTER.format(suggests), policy="", helper=HELPER)
    with pytest.raises(specframe.OptionError, match="least is more than most"):
        specframe.load(
            tiny.model(), strategy="bad", stop_policy="bounded", options={"stop.most": 3}
        )


BOUNDED = """
    import attrs
    import specframe

    @attrs.frozen
    class Bounds:
        least: int = specframe.option(1, help="fewest")
        most: int = specframe.option(9, help="most")

        def __attrs_post_init__(self):
            if self.least > self.most:
                raise ValueError("least is more than most")

    @hookimpl(specname="specframe_register_stop_policies")
    def bounded(register):
        register("bounded", "bad_pack:Policy", options=Bounds)

    class Policy(specframe.StopPolicy):
        def __init__(self, bounds): pass
"""
RAISING = {
    "def guess(): return [3]": "raised in drafter 'bad' at {}: ZeroDivisionError",
    "def limit(rows): return [2] * len(rows)": "raised in stop policy 'bad' at {}: ZeroDivisionErr",
    "def never(ids, scores): return False": "raised at {}: ZeroDivisionError",
}


@pytest.mark.parametrize("is_one_module", [False, True])
@pytest.mark.parametrize("function", RAISING)
def test_an_exception_is_that_of_the_part_that_was_running(tiny, install, function, is_one_module):
    """One package may have a drafter, a stop policy, and what a user calls by themself."""
    head = function.partition(":")[0]
    helper = HELPER.replace(function, f"{head}: return 1 / 0  # HERE")
    parts, policy = DRAFTER.format(""), POLICY
    if is_one_module:
        parts += POLICY.partition("StopPolicy\n")[2]
        policy = "from bad_pack.parts import Policy\n"
    line = install(parts=parts, policy=policy, helper=helper)
    decoder = specframe.load(tiny.model(), strategy="bad", stop_policy="bad")
    criterion = importlib.import_module("bad_pack.helper").never
    with pytest.raises(PluginError) as caught:
        decoder.decode(PROMPT, max_new_tokens=4, stopping_criteria=[criterion])
    assert str(caught.value).startswith(WHOSE + RAISING[function].format(line))


def test_an_exception_in_a_function_without_self_is_that_of_the_part_of_its_module(tiny, install):
    policy = POLICY.replace(
        "def limit(self, rows): return", "limit = staticmethod(lambda rows: 1 / 0)  # HERE"
    )
    line = install(parts=DRAFTER.format(""), policy=policy, helper=HELPER)
    decoder = specframe.load(tiny.model(), strategy="bad", stop_policy="bad")
    with pytest.raises(PluginError) as caught:
        decoder.decode(PROMPT, max_new_tokens=4)
    assert str(caught.value).startswith(f"{WHOSE}raised in stop policy 'bad' at {line}: ZeroDiv")


ASKING = """
    import torch
    import specframe

    class Bad(specframe.Drafter):
        def start(self, target, rows, captured): self.target = target

        def propose(self, rows, stop, sampler):
            tree, vocab = self.target.tree(rows), self.target.engine.vocab_size
            said = torch.zeros(len(rows), vocab)
            specframe.grow_chain(tree, rows, stop, sampler, lambda _: (said, None))
            return tree.draft()
"""


@pytest.mark.parametrize("plugin", ["abler", "worse"])  # before and after 'bad'
def test_an_exception_is_that_of_the_plugin_that_was_running_last(tiny, install, plugin):
    """A drafter of one plug-in asks the stop policy of another."""
    install(parts=ASKING, policy=POLICY, helper=HELPER)
    raising = POLICY.replace(
        "def limit(self, rows): return", "def after(self, step): 1 / 0  # HERE\n        #"
    )
    line = install(plugin, parts=ASKING, policy=raising, helper=HELPER)
    decoder = specframe.load(tiny.model(), strategy="bad", stop_policy=plugin)
    with pytest.raises(PluginError) as caught:
        decoder.decode(PROMPT, max_new_tokens=4)
    assert str(caught.value).startswith(
        f"plug-in '{plugin}' (specframe-{plugin} 0.3) raised in stop policy '{plugin}' at {line}: "
    )

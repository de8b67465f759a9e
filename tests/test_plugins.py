"""Loading plug-ins: what is registered, and what each fault of a plug-in reads like."""

import subprocess
import sys
import textwrap
import warnings

import attrs
import pytest

from specframe._errors import PluginError, UnknownNameError
from specframe._plugins.component import Component, Strategy
from specframe._plugins.discovery import discover, load_plugins
from specframe._plugins.options import option
from specframe._plugins.plugin_info import PluginInfo
from specframe._plugins.registry import Registry

OURS = PluginInfo("mine", "specframe-mine", "2.0", "mine")
DRAFTER = """
    from specframe import hookimpl

    @hookimpl
    def specframe_register_drafters(register):
        register("{name}", "{module}:Drafter", summary="a test drafter")

    class Drafter:
        pass
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution `specframe-NAME` whose entry module has the given source."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name, source, *, version="1.0", module=None, entry=""):
        module = module or f"fake_{name}"
        source = textwrap.dedent(source).replace("{name}", name).replace("{module}", module)
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"specframe_{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: specframe-{name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[specframe]\n{name} = {module}{entry}\n")

    yield install
    for name, module in tuple(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def problem(install):
    """Install a plug-in `bad` beside an able one; return the one message about it."""

    def problem(source):
        install("able", DRAFTER)
        install("bad", source, version="0.3")
        registry = discover().registry
        assert "able" in registry.drafters, "a broken plug-in must not take others down"
        assert "kangaroo" in registry.strategies
        assert "bad" not in registry.drafters, "a broken plug-in must leave nothing behind"
        assert [info.name for info in registry.plugins if info.name == "bad"] == []
        (message,) = [str(each) for each in registry.problems]
        assert message.startswith("plug-in 'bad' (specframe-bad 0.3) ")
        assert "uninstall specframe-bad" in message
        assert "SPECFRAME_PLUGINS" in message
        return message

    return problem


def test_the_built_ins_load_without_a_fault():
    registry = discover("").registry
    assert registry.problems == []
    assert registry.warnings == []
    assert all(plugin.is_built_in for plugin in registry.plugins)
    assert registry.strategy("kangaroo").stop_policy == "confidence"
    assert registry.strategy("none").stop_policy == "fixed"
    assert {"fixed", "confidence"} <= registry.stop_policies.keys()
    assert {"gemma3_text", "gpt2", "llama", "mixtral"} <= registry.families.keys()
    assert registry.verifier("greedy").plugin.distribution == "specframe"
    assert registry.trainer("kangaroo").name == "kangaroo"


def test_a_plugin_is_known_by_its_distribution_and_version(install):
    install("good", DRAFTER, version="4.5")
    component = discover().registry.drafter("good")
    assert component.plugin == PluginInfo("good", "specframe-good", "4.5", "fake_good")
    assert str(component.plugin) == "plug-in 'good' (specframe-good 4.5)"


def test_a_drafter_alone_is_a_strategy_with_the_fixed_policy(install):
    install("good", DRAFTER)
    strategy = discover().registry.strategy("good")
    assert strategy == Strategy("good", "good", stop_policy="fixed", summary="a test drafter")
    assert strategy.plugin.name == "good"


def test_a_module_that_cannot_be_imported_is_named(problem):
    message = problem("import specframe_nope")
    assert "cannot be imported: ModuleNotFoundError: No module named 'specframe_nope'" in message


def test_a_module_that_exits_on_import_is_named(problem):
    assert "cannot be imported: SystemExit: 3" in problem("raise SystemExit(3)")


def test_a_hook_that_raises_is_named(problem):
    message = problem("""
        from specframe import hookimpl

        @hookimpl
        def specframe_register_drafters(register):
            register("bad", "fake_bad:Drafter")
            1 / 0
    """)
    assert "failed in specframe_register_drafters: ZeroDivisionError: division by zero" in message


def test_a_misspelt_hook_is_named_with_the_nearest_one(problem):
    message = problem("""
        from specframe import hookimpl

        @hookimpl
        def specframe_register_drafter(register):
            register("bad", "fake_bad:Drafter")
    """)
    assert "hook 'specframe_register_drafter', which does not exist" in message
    assert "did you mean 'specframe_register_drafters'?" in message


def test_a_wrong_signature_is_named(problem):
    message = problem("""
        from specframe import hookimpl

        @hookimpl
        def specframe_register_drafters(registry):
            registry("bad", "fake_bad:Drafter")
    """)
    assert "declares a hook wrongly" in message
    assert "{'registry'}" in message


def test_a_module_without_any_hook_is_named(problem):
    assert "has no hook: mark a function in fake_bad with @hookimpl" in problem("x = 1")


def test_a_hook_without_the_mark_is_named(problem):
    message = problem("""
        def specframe_register_drafters(register):
            register("bad", "fake_bad:Drafter")
    """)
    assert "specframe_register_drafters that is not marked with @hookimpl" in message


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ('"bad", "no_colon"', "an implementation is named 'module:attribute', got 'no_colon'"),
        ('"", "fake_bad:Drafter"', "a name is a plain non-empty string, got ''"),
        ('"bad", "fake_bad:D", options=int', "options must be an attrs class"),
        ('"bad", "fake_bad:D", option=int', "unexpected keyword argument 'option'"),
    ],
)
def test_a_malformed_registration_is_refused(problem, arguments, complaint):
    source = f"""
        from specframe import hookimpl

        @hookimpl
        def specframe_register_drafters(register):
            register({arguments})
    """
    assert complaint in problem(source)


def test_a_clash_of_names_names_both_owners(problem):
    message = problem(DRAFTER.replace("{name}", "kangaroo"))
    assert "is left out: strategy 'kangaroo' of plug-in 'bad' (specframe-bad 0.3)" in message
    assert "already registered by plug-in 'kangaroo' (specframe " in message


def test_a_strategy_may_not_take_the_name_of_anothers_drafter(problem):
    message = problem("""
        from specframe import Strategy, hookimpl

        @hookimpl
        def specframe_register_strategies(register):
            register(Strategy("able", "none"))
    """)
    assert "strategy 'able' of plug-in 'bad'" in message


def test_what_is_no_strategy_is_refused(problem):
    message = problem("""
        from specframe import hookimpl

        @hookimpl
        def specframe_register_strategies(register):
            register("bad")
    """)
    assert "register takes a specframe.Strategy, got 'bad'" in message


def test_a_strategy_with_a_part_that_nobody_registers_is_left_out(install):
    install(
        "bundle",
        """
        from specframe import Strategy, hookimpl

        @hookimpl
        def specframe_register_strategies(register):
            register(Strategy("bundle", "none", stop_policy="never"))
        """,
    )
    registry = discover().registry
    assert "bundle" not in registry.strategies
    (message,) = [str(each) for each in registry.problems]
    assert "registers strategy 'bundle' with stop policy 'never', which nothing" in message


@pytest.mark.parametrize(
    ("hook", "table"),
    [
        ("specframe_register_verifiers", "verifier"),
        ("specframe_register_stop_policies", "stop policy"),
        ("specframe_register_families", "family"),
        ("specframe_register_trainers", "trainer"),
    ],
)
def test_every_kind_has_its_hook(install, hook, table):
    install("good", DRAFTER.replace("specframe_register_drafters", hook))
    registry = discover().registry
    assert registry.problems == []
    assert registry.tables[table]["good"].load().__name__ == "Drafter"


def test_an_entry_module_that_imports_torch_gets_a_warning(tmp_path, install):
    install("slow", "import torch\n" + textwrap.dedent(DRAFTER))
    (tmp_path / "torch.py").write_text("")  # a stand-in: real torch takes seconds
    code = "from specframe._plugins.discovery import discover; print(*discover().registry.warnings)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert "plug-in 'slow' (specframe-slow 1.0) imports torch in fake_slow" in done.stdout


def test_the_selection_keeps_the_built_ins_and_what_it_names(install):
    install("good", DRAFTER)
    install("other", DRAFTER)
    assert {"good", "other", "kangaroo"} <= discover(None).registry.drafters.keys()
    only = discover("good").registry
    assert "good" in only.drafters
    assert "other" not in only.drafters
    assert "kangaroo" in only.drafters
    assert "good" not in discover("").registry.drafters


def test_a_selected_plugin_that_is_not_installed_is_reported(install):
    install("good", DRAFTER)
    (problem,) = discover("goood").registry.problems
    assert str(problem) == (
        "SPECFRAME_PLUGINS names 'goood', which is not installed: did you mean 'good'? "
        "Third-party plug-ins: good."
    )


def test_the_plugins_are_discovered_once_for_each_selection(monkeypatch):
    monkeypatch.setenv("SPECFRAME_PLUGINS", "")
    first = load_plugins()
    assert load_plugins() is first
    monkeypatch.setenv("SPECFRAME_PLUGINS", " ,")
    assert load_plugins() is not first


OBSERVER = """
    from specframe import hookimpl

    seen = []

    @hookimpl
    def specframe_round(round):
        seen.append(round)

    @hookimpl
    def specframe_decode_finished(result):
        seen.append(result)
"""


def test_observers_see_rounds_and_results(install):
    install("watcher", OBSERVER)
    plugins = discover()
    plugins.observe_round("a round")
    plugins.observe_finished("a result")
    assert sys.modules["fake_watcher"].seen == ["a round", "a result"]


@pytest.mark.parametrize("slots", ["", '__slots__ = ("seen",)'])
def test_an_entry_point_may_name_an_object_that_remembers(install, slots):
    source = f"""
        from specframe import hookimpl

        class Counter:
            {slots}

            def __init__(self):
                self.seen = 0

            @hookimpl
            def specframe_round(self, round):
                self.seen += 1

        counter = Counter()
    """
    install("counter", source, entry=":counter")
    plugins = discover("counter")
    assert plugins.registry.problems == []
    plugins.observe_round(None)
    plugins.observe_round(None)
    assert sys.modules["fake_counter"].counter.seen == 2


def test_a_method_without_the_mark_is_named(install):
    source = """
        class Observer:
            __slots__ = ()

            def specframe_round(self, round):
                pass

        observer = Observer()
    """
    install("bad", source, entry=":observer")
    (problem,) = discover().registry.problems
    assert "has a function specframe_round that is not marked with @hookimpl" in str(problem)


def test_an_observer_that_raises_is_named_once_and_the_others_run(install):
    install("watcher", OBSERVER)
    install("faulty", OBSERVER.replace("seen.append(round)", "raise KeyError(round)"))
    plugins = discover()
    with pytest.warns(RuntimeWarning, match="plug-in 'faulty'.*failed in specframe_round: KeyErr"):
        plugins.observe_round("first")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plugins.observe_round("second")
    assert sys.modules["fake_watcher"].seen == ["first", "second"]
    assert len(plugins.registry.problems) == 1


def test_commands_are_added_and_a_raising_hook_is_named(install):
    command = """
        from specframe import hookimpl

        @hookimpl
        def specframe_register_commands(app):
            app.append("{name}")
    """
    install("able", command)
    install("faulty", command.replace("app.append", "app.explode"))
    app = []
    able, faulty = (one for one in discover().members if not one.plugin.is_built_in)
    able.call("specframe_register_commands", app=app)
    assert app == ["able"]
    with pytest.raises(
        PluginError, match=r"'faulty' \(specframe-faulty 1.0\) failed in specframe_"
    ):
        faulty.call("specframe_register_commands", app=app)


@attrs.frozen
class Options:
    steps: int = option(6, help="levels")


class Built:
    def __init__(self, options):
        if options.steps > 6:
            raise ValueError("too many")
        self.options = options


def component(implementation, options=None):
    return Component("drafter", "mine", implementation, options=options, plugin=OURS)


def test_a_component_is_built_from_its_options_or_their_defaults():
    sys.modules["mine"] = sys.modules[__name__]
    built = component("mine:Built", Options)
    assert built.build().options == Options(steps=6)
    assert built.build(Options(steps=2)).options.steps == 2
    with pytest.raises(PluginError, match=r"cannot build drafter 'mine' .*ValueError: too many"):
        built.build(Options(steps=7))
    assert component("builtins:list").build() == []


@pytest.mark.parametrize("implementation", ["specframe_nope:Drafter", "builtins:Drafter"])
def test_a_component_that_cannot_be_loaded_names_its_plugin(implementation):
    with pytest.raises(PluginError) as caught:
        component(implementation).load()
    assert "plug-in 'mine' (specframe-mine 2.0) cannot load drafter 'mine'" in str(caught.value)
    assert caught.value.__cause__ is not None


def test_an_unknown_name_lists_what_there_is_and_the_nearest_match():
    registry = Registry()
    registry.registrar("drafter", OURS)("kangaroo", "mine:Built")
    with pytest.raises(UnknownNameError) as caught:
        registry.strategy("kangroo")
    assert str(caught.value) == (
        "unknown strategy 'kangroo': did you mean 'kangaroo'? Available: kangaroo."
    )
    with pytest.raises(UnknownNameError, match=r"unknown stop policy 'x'\. Available: nothing\."):
        registry.stop_policy("x")


def test_an_unknown_name_mentions_the_plugins_that_could_not_be_loaded(install):
    install("bad", "import specframe_nope")
    with pytest.raises(UnknownNameError, match=r"plug-in 'bad'.*cannot be imported"):
        discover().registry.strategy("bad")


def test_the_options_of_a_strategy_are_those_of_its_drafter():
    registry = Registry()
    registry.registrar("drafter", OURS)("mine", "mine:Built", options=Options)
    registry.strategy_registrar(OURS)(Strategy("other", "mine"))
    assert registry.strategy_options(registry.strategy("other")) is Options

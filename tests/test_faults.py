"""What each fault of a plug-in reads like: whose it is, what was wrong, and the line of its code.

Faults that show when plug-ins are loaded are in `test_plugins.py` as well; here is where they say.
"""

import copy
import sys
import textwrap

import attrs
import pytest
import torch

import specframe
from specframe import (
    API_VERSION,
    Capabilities,
    Draft,
    Drafter,
    Exit,
    InputError,
    Law,
    Needs,
    PluginError,
    SequenceDrafter,
    StopPolicy,
    Stops,
    Target,
    Verdict,
    Verifier,
)
from specframe._assembly.assembly import assemble
from specframe._assembly.blame import blame
from specframe._engine.model_origin import UNKNOWN
from specframe._exact.exact_engine import ExactEngine
from specframe._exact.exact_target import target_on
from specframe._exact.exact_verifier import verifier_on
from specframe._plugins.discovery import discover
from table_engine import Table, TableEngine, make_rows

VOCAB = 6


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a plug-in ``bad`` of one module; return its file and what `discover` says."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(source):
        file = tmp_path / "bad_one.py"
        file.write_text(textwrap.dedent(source).lstrip())
        info = tmp_path / "specframe_bad-0.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: specframe-bad\nVersion: 0.3\n")
        (info / "entry_points.txt").write_text("[specframe]\nbad = bad_one\n")
        return file, discover().registry

    yield install
    sys.modules.pop("bad_one", None)


def line_with(file, text):
    """Return "file:line" of the line that holds a text."""
    lines = file.read_text().splitlines()
    (number,) = [at for at, line in enumerate(lines, 1) if text in line]
    return f"{file}:{number}"


HOOK = """
    from specframe import hookimpl

    @hookimpl  # HERE
    def {hook}(register):
        {body}
"""

AT_LOAD = {
    "an import that fails": ("import specframe_nope  # HERE", "No module named 'specframe_nope'"),
    "a syntax error": ("x = 1\ny = (  # HERE", "SyntaxError"),
    "a misspelt hook": (
        HOOK.format(hook="specframe_register_drafter", body="pass"),
        "did you mean 'specframe_register_drafters'?",
    ),
    "a wrong signature": (
        HOOK.format(hook="specframe_register_drafters", body="pass").replace(
            "(register)", "(registry)"
        ),
        "{'registry'}",
    ),
    "a hook without the mark": (
        "def specframe_register_drafters(register):  # HERE\n    pass",
        "not marked with @hookimpl",
    ),
    "a hook that raises": (
        HOOK.replace("  # HERE", "").format(
            hook="specframe_register_drafters", body="1 / 0  # HERE"
        ),
        "ZeroDivisionError",
    ),
    "an options class that is not attrs": (
        HOOK.replace("  # HERE", "").format(
            hook="specframe_register_drafters",
            body='register("bad", "bad_one:X", options=dict)  # HERE',
        ),
        "options must be an attrs class, got <class 'dict'>",
    ),
    "an option that has no type": (
        HOOK.replace("  # HERE", "").format(
            hook="specframe_register_drafters",
            body="import attrs, specframe; O = attrs.frozen(type('O', (), {'steps': "
            'specframe.option(6, help="x")})); register("bad", "bad_one:X", options=O)  # HERE',
        ),
        "option 'steps' of O has no type: write `steps: int = option(...)`",
    ),
    "a clash of names": (
        HOOK.replace("  # HERE", "").format(
            hook="specframe_register_drafters",
            body='register("kangaroo", "bad_one:X")  # HERE',
        ),
        "already registered by plug-in 'kangaroo' (specframe ",
    ),
    "a clash of strategies": (
        HOOK.replace("  # HERE", "").format(
            hook="specframe_register_strategies",
            body='import specframe; register(specframe.Strategy("none", "none"))  # HERE',
        ),
        "strategy 'none' of plug-in 'bad' (specframe-bad 0.3) is already registered",
    ),
    "a strategy of unknown parts": (
        HOOK.replace("  # HERE", "").format(
            hook="specframe_register_strategies",
            body='import specframe; register(specframe.Strategy("bad", "nope"))  # HERE',
        ),
        "registers strategy 'bad' with drafter 'nope', which nothing registers",
    ),
    "another API": (
        'specframe_api = "2.0"  # HERE',
        f"API 2.0, and this specframe has {API_VERSION}: upgrade specframe, or install an older",
    ),
}


@pytest.mark.parametrize("fault", AT_LOAD)
def test_a_fault_at_load_names_plugin_distribution_version_cause_and_line(plugin, fault):
    source, words = AT_LOAD[fault]
    file, registry = plugin(source)
    (message,) = map(str, registry.problems)
    assert message.startswith("plug-in 'bad' (specframe-bad 0.3) ")
    assert words in message
    assert line_with(file, "HERE") in message
    assert message.endswith(
        "or name the plug-ins that you do want in SPECFRAME_PLUGINS (empty: none)."
    )
    assert "\n" not in message
    assert [
        str(left.plugin) for left in registry.left_out if fault != "a strategy of unknown parts"
    ] in (
        [],
        ["plug-in 'bad' (specframe-bad 0.3)"],
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ("2.3", "1.0", "upgrade specframe-bad, or install an older specframe"),
        ("2.3", "2.4", "upgrade specframe, or install an older specframe-bad"),
        ("2.3", "3.0", "upgrade specframe, or install an older specframe-bad"),
        ("2.3", "2", 'must say specframe_api = "MAJOR.MINOR", such as "2.3", got \'2\''),
        ("2.10", "2.9", None),
        ("2.3", "2.3", None),
    ],
)
def test_the_message_about_another_api_says_which_side_to_upgrade(
    plugin, monkeypatch, ours, theirs, words
):
    monkeypatch.setattr("specframe._plugins.hooks.API_VERSION", ours)
    _, registry = plugin(
        f'specframe_api = "{theirs}"\n'
        "from specframe import hookimpl\n"
        "@hookimpl\ndef specframe_round(round): pass"
    )
    messages = [str(problem) for problem in registry.problems]
    assert bool(messages) == bool(words)
    assert words is None or words in messages[0]


# Faults that show while decoding, or just before.


class Fixed(Drafter):
    """Hand over what it is told to."""

    def __init__(self, change):
        self._change = change

    def propose(self, rows, stop, sampler):  # PROPOSE
        draft = Draft.chains(rows.roots, [[1, 2]] * len(rows))
        return self._change(draft)


def decoded(drafter, *, verifier=None, stop=None, extra_nodes=8):
    """Decode a few tokens of a table, as a decoder does; return what is raised."""
    parts = assemble(discover("").registry, drafter, verifier, stop or StopPolicy(), {})
    target = Target(TableEngine(Table(vocab=VOCAB)), extra_nodes=extra_nodes)
    named = parts.verifier.at(0).verifier
    rows = make_rows([[1, 2]], Stops(12, 99))
    try:
        parts.prepare(target)
        sampler = specframe.Sampler(wants_q=named.needs_q)
        for _ in specframe.rounds(target, drafter, named, parts.stop_policy, sampler, rows):
            pass
    except Exception as error:  # noqa: BLE001 (it is what is under test)
        return blame(error, parts)
    return None


def q_of(draft, values):
    q = torch.tensor([[values, values]], dtype=torch.float64)
    return attrs.evolve(draft, probs=q, inner=torch.tensor([[0, 1]]), law=Law.IID)


def exit_of(draft, *, layer=1, dtype=torch.float64, width=1, nodes=3, slots=3):
    slots = [list(range(1, slots + 1))]
    return attrs.evolve(draft, exit=Exit(layer, torch.zeros(1, nodes, width, dtype=dtype), slots))


DRAFTS = {
    "propose must return a specframe.Draft, got None": lambda _: None,
    "token 6, out of vocabulary (size 6)": lambda d: Draft.chains(d.tokens[:, 0].tolist(), [[6]]),
    "node 1 has parent 2": lambda d: attrs.evolve(d, parents=torch.tensor([[-1, 2, 0]])),
    "sizes [4] must lie between 1 (the root) and 3": lambda d: attrs.evolve(
        d, sizes=torch.tensor([4])
    ),
    "tokens must be whole numbers in 2 dimension(s); got torch.float32 [1, 3] on cpu": (
        lambda d: attrs.evolve(d, tokens=d.tokens.float())
    ),
    "parents must be a tensor, got [[-1, 0, 1]]": lambda d: attrs.evolve(d, parents=[[-1, 0, 1]]),
    "its values sum to 1.2": lambda d: q_of(d, [0.2] * 6),
    "its values sum to nan": lambda d: q_of(d, [float("nan")] * 6),
    "q gives no mass to its child, token 1": lambda d: q_of(d, [0.5, 0, 0.5, 0, 0, 0]),
    "q must be over 6 tokens, got (5,)": lambda d: q_of(d, [0.2] * 5),
    "on the target's device, cpu; got torch.float64 [1, 2, 6] on meta": lambda d: attrs.evolve(
        q_of(d, [1 / 6] * 6), probs=torch.zeros(1, 2, 6, dtype=torch.float64, device="meta")
    ),
    "probs must be floating point numbers": lambda d: attrs.evolve(
        d, probs=torch.ones(1, 2, 6, dtype=torch.int64), inner=torch.tensor([[0, 1]])
    ),
    "exit.layer must be from 1 to": lambda d: exit_of(d, layer=99),
    "exit.hidden must be the target's torch.float64 on cpu; got torch.bfloat16": lambda d: exit_of(
        d, dtype=torch.bfloat16
    ),
    "exit.slot_lists must be 1 list(s) of 3 whole numbers, one for each node, got [[1, 2]]": (
        lambda d: exit_of(d, slots=2)
    ),
    "exit.hidden must be [1, 3, 1], the states of each node": lambda d: exit_of(d, nodes=2),
}


def here(text):
    from pathlib import Path

    return line_with(Path(__file__), text)


@pytest.mark.parametrize("words", DRAFTS)
def test_a_draft_that_is_none_is_shown_with_the_line_that_returned_it(words):
    error = decoded(Fixed(DRAFTS[words]))
    assert isinstance(error, PluginError)
    assert str(error).startswith("drafter Fixed: ")
    assert words in str(error)
    assert f"(returned by Fixed.propose, {here('# ' + 'PROPOSE')})" in str(error)


def test_a_guess_that_is_no_list_of_tokens_is_shown():
    class Odd(SequenceDrafter):
        def guess(self, tokens, room):
            return None

    class Half(SequenceDrafter):
        def guess(self, tokens, room):
            return [1.5]

    for kind, got in ((Odd, "None"), (Half, "[1.5]")):
        message = str(decoded(kind()))
        assert f"guess must return a list of token ids, got {got}" in message
        assert f"(returned by {kind.__name__}.guess, {__file__}:" in message


def fork(draft):
    """Return two guesses beside each other."""
    return Draft.trees([[root, 1, 2] for root in draft.tokens[:, 0].tolist()], [[-1, 0, 0]])


def test_a_tree_that_nobody_declared_is_refused_at_once_with_what_to_declare():
    message = str(decoded(Fixed(fork), extra_nodes=0))
    assert message.startswith("drafter Fixed: malformed draft: row 0 is a tree of 3 nodes and ")
    assert "capabilities.tree is not set: declare Capabilities(tree=True, max_nodes=N)" in message
    assert f"(returned by Fixed.propose, {__file__}:" in message


def test_a_tree_that_is_declared_when_the_drafter_is_prepared_gets_its_slots():
    class Late(Fixed):
        def prepare(self, target):
            self.capabilities = Capabilities(tree=True, max_nodes=3)

        def propose(self, rows, stop, sampler):
            draft = Draft.chains(rows.roots, [[]])
            return fork(draft) if rows.rooms[0] else draft

    assert decoded(Late(fork), extra_nodes=0) is None


DRAWN = {
    "one law": lambda draft: q_of(draft, [1 / 6] * 6),
    "a law for each row": lambda draft: attrs.evolve(
        q_of(draft, [1 / 6] * 6), law=torch.tensor([Law.WITHOUT_REPLACEMENT])
    ),
}


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("is_composed", [False, True])
def test_a_q_that_nobody_declared_is_refused_at_once_with_what_to_declare(kind, is_composed):
    class Draws(Fixed):
        def propose(self, rows, stop, sampler):
            has_room = rows.rooms[0] > 1
            return super().propose(rows, stop, sampler) if has_room else alone(rows)

    class Declares(Draws):
        capabilities = Capabilities(sampling=True)

    class Idle(Declares):  # what a composition declares is what any part does
        def propose(self, rows, stop, sampler):
            return alone(rows)

    def alone(rows):
        return Draft.chains(rows.roots, [[]])

    def parts(kind_of_drafter):
        drafter = kind_of_drafter(DRAWN[kind])
        return specframe.FirstDrafter([Idle(None), drafter]) if is_composed else drafter

    message = str(decoded(parts(Draws)))
    law = "IID" if kind == "one law" else "WITHOUT_REPLACEMENT"
    assert message.startswith(f"drafter Draws: malformed draft: row 0 has the law {law} and ")
    assert "capabilities.sampling is not set: declare Capabilities(sampling=True)" in message
    assert f"(returned by Draws.propose, {__file__}:" in message
    assert decoded(parts(Declares)) is None


def test_a_drafter_without_q_is_legal_beside_a_verifier_that_needs_one():
    from specframe_verifiers._rejection import RejectionVerifier

    assert decoded(Chain(), verifier=RejectionVerifier()) is None


class Overgrown(Drafter):
    """Add a level that the tree has no room for."""

    capabilities = Capabilities(tree=True, max_nodes=4)

    def start(self, target, rows, captured):
        self.target = target

    def propose(self, rows, stop, sampler):
        tree = self.target.tree(rows, [0])
        tree.add(torch.tensor([[1]]))  # GROW
        return tree.draft()


@pytest.mark.parametrize("is_composed", [False, True])
def test_a_tree_with_more_levels_than_room_names_the_line_that_grew_it(is_composed):
    drafter = specframe.FirstDrafter([Overgrown()]) if is_composed else Overgrown()
    message = str(decoded(drafter))
    assert message.startswith("drafter Overgrown: ")
    assert "has room for 0 levels" in message
    assert f"(at {here('# ' + 'GROW')})" in message


class Grown(Drafter):
    """Grow a tree of one node, whose token is a given one, by a given law."""

    def __init__(self, tokens, law=Law.DETERMINISTIC, **level):
        self._tokens, self._law, self._level = torch.tensor([tokens]), law, level

    def start(self, target, rows, captured):
        self.target = target

    def propose(self, rows, stop, sampler):
        tree = self.target.tree(rows)
        # Past the checks of annotations, which users do not have.
        unchecked = getattr(tree.add, "__wrapped__", type(tree).add)
        unchecked(tree, self._tokens.long(), **self._level)
        tree._tokens[-1] = self._tokens
        return tree.draft(self._law)


UNIFORM = torch.full((1, 1, VOCAB), 1 / VOCAB)


@pytest.mark.parametrize(
    ("drafter", "words"),
    [
        (Grown([1.0]), "tokens must be whole numbers in 2 dimension(s); got torch.float32 [1, 2]"),
        (Grown([VOCAB]), f"node 1 holds token {VOCAB}, out of vocabulary"),
        (Grown([1], torch.tensor([7])), "law must be a Law, or one for each of 1 row(s), got [7]"),
        (Grown([1], Law.IID, probs=UNIFORM), "capabilities.sampling is not set"),
        (Grown([1], probs=UNIFORM.int()), "probs must be floating point numbers"),
    ],
)
def test_a_tree_of_the_builder_is_checked_too(drafter, words):
    message = str(decoded(drafter))
    assert message.startswith("drafter Grown: ")
    assert words in message


class Chain(SequenceDrafter):
    def guess(self, tokens, room):
        return [1, 2]


class Says(Verifier):
    """Return what it is told to."""

    guarantee = "none"

    def __init__(self, change):
        self._change = change

    def verify(self, rows, draft, scores, sampler):  # VERIFY
        return self._change(Verdict([[]], [1], scores.best[1]))


VERDICTS = {
    "verify must return a specframe.Verdict, got None": lambda _: None,
    "next token 6 is out of vocabulary (size 6)": lambda v: attrs.evolve(v, next_tokens=[6]),
    "next token 1.0 is out of vocabulary": lambda v: attrs.evolve(v, next_tokens=[1.0]),
    "path [2] must lead from a child of the root downwards": lambda v: attrs.evolve(
        v, path_lists=[[2]]
    ),
    "path [7] must lead": lambda v: attrs.evolve(v, path_lists=[[7]]),
    "must have one entry for each of 1 row(s), got [2, 1, 1]": lambda v: attrs.evolve(
        v, path_lists=[[], []]
    ),
}


@pytest.mark.parametrize("words", VERDICTS)
def test_a_verdict_that_is_none_is_the_verifiers_fault(words):
    message = str(decoded(Chain(), verifier=Says(VERDICTS[words])))
    assert message.startswith("verifier Says: ")
    assert words in message
    assert f"(returned by Says.verify, {here('# ' + 'VERIFY')})" in message


def test_a_node_that_is_no_candidate_is_not_accepted():
    class Marks(Chain):
        def propose(self, rows, stop, sampler):
            draft = super().propose(rows, stop, sampler)
            return attrs.evolve(draft, candidates=torch.tensor([[True, False, False]]))

    taken = Says(lambda v: attrs.evolve(v, path_lists=[[1]]))
    assert "node 1 is no candidate" in str(decoded(Marks(), verifier=taken))


class Limits(StopPolicy):
    def __init__(self, limits):
        self._limits = limits

    def limit(self, rows):
        return self._limits


class After(StopPolicy):
    def __init__(self, answer):
        self._answer = answer

    def after(self, step):
        return self._answer


class Shallow(Drafter):
    """Ask the stop policy as all chains do."""

    def start(self, target, rows, captured):
        self.target = target

    def propose(self, rows, stop, sampler):
        tree = self.target.tree(rows)
        logits = torch.zeros(1, VOCAB, dtype=torch.float64)
        specframe.grow_chain(tree, rows, stop, sampler, lambda _: (logits, None))
        return tree.draft()


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Limits([1, 2]), "limit must return one whole number for each of 1 row(s), got [1, 2]"),
        (Limits(None), "limit must return one whole number for each of 1 row(s), got None"),
        (Limits([0.5]), "limit must return whole numbers, got 0.5"),
        (After(torch.tensor(True)), "after must return None or a bool tensor [1] on cpu"),
        (After(torch.tensor([1.0])), "one for each row, got torch.float32 [1] on cpu"),
        (After(True), "one for each row, got True"),
    ],
)
def test_an_answer_of_a_stop_policy_is_shown_with_its_line(policy, words):
    message = str(decoded(Shallow(), stop=policy))
    name = type(policy).__name__
    assert message.startswith(f"stop policy {name}: ")
    assert words in message
    assert f"(returned by {name}.{name.lower().rstrip('s')}, {__file__}:" in message


# What is declared is checked before anything is decoded.


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"needs": Needs(frozenset({99}))}, "needs.taps asks for layer 99: there are 0"),
        ({"needs": frozenset({1})}, "needs must be Needs, got frozenset({1})"),
        (
            {"capabilities": Capabilities(tree=True)},
            "capabilities.tree is set and max_nodes is not",
        ),
        ({"capabilities": Capabilities(max_nodes=0)}, "max_nodes must be 1 or more, got 0"),
        (
            {"capabilities": Capabilities(shows=frozenset({"confidense"}))},
            "capabilities.shows has 'confidense': there is confidence, entropy",
        ),
        ({"most_levels": -1}, "most_levels must be 0 or more, got -1"),
        ({"most_levels": None}, "most_levels must be int, got None"),
    ],
)
def test_what_a_drafter_declares_is_checked_at_load(declared, words):
    kind = type("Declares", (Chain,), declared)
    message = str(decoded(kind()))
    assert message.startswith("drafter Declares: ")
    assert words in message


def test_what_a_policy_reads_must_be_something_that_is_shown():
    class Reads(StopPolicy):
        reads = frozenset({"entropi"})

    message = str(decoded(Chain(), stop=Reads()))
    assert "reads has 'entropi': there is confidence, entropy" in message
    assert f"(declared by Reads, {__file__}:" in message


def test_a_verifier_of_chains_is_refused_beside_a_drafter_of_trees():
    class OnlyChains(Says):
        trees = False

    class Trees(Chain):
        capabilities = Capabilities(tree=True, max_nodes=4)

    error = decoded(Trees(), verifier=OnlyChains(lambda v: v))
    assert isinstance(error, InputError)
    assert "verifier 'OnlyChains' walks chains only, and drafter 'Trees' drafts trees" in str(error)
    assert decoded(Chain(), verifier=OnlyChains(lambda v: v)) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"strategy": Chain},
            "strategy takes a registered name or a specframe.Drafter, not its cl",
        ),
        ({"verifier": 3}, "verifier takes a registered name or a specframe.Verifier; got 3"),
        ({"stop_policy": Chain()}, "stop_policy takes a registered name or a specframe.StopPolicy"),
    ],
)
def test_a_part_of_another_class_is_refused_before_a_model_is_read(arguments, words):
    with pytest.raises(InputError, match=words):
        specframe.load("no/such/model", **{"strategy": "none", **arguments})


def test_a_verifier_without_a_guarantee_is_refused():
    class Silent(Says):
        guarantee = "maybe"

    with pytest.raises(PluginError, match=r"guarantee must be 'tokens' or .*, got 'maybe'"):
        assemble(discover("").registry, "none", Silent(None), None, {})


# Registered parts are named with their distribution.

REGISTERED = """
    from specframe import Draft, Drafter, SequenceDrafter, hookimpl

    specframe_api = "1.0"

    @hookimpl
    def specframe_register_drafters(register):
        register("bad", "bad_one:Bad")
        register("worse", "bad_one:Worse")  # REGISTERED
        register("worst", "bad_one:nothing")  # MISSING

    class Bad(SequenceDrafter):
        def guess(self, tokens, room):  # GUESS
            return [-1]

    class Worse(SequenceDrafter):
        def guess(self, tokens, room):
            return [][0]  # RAISE

    class Broken(SequenceDrafter):
        def __init__(self):
            raise ValueError("no weights")
"""


@pytest.fixture
def decode_with(plugin):
    """Decode with a drafter of the plug-in, or with a composition of it."""
    file, registry = plugin(REGISTERED)

    def decode_with(name, wrap=lambda drafter: drafter):
        parts = assemble(registry, name, None, StopPolicy(), {})
        parts.drafter = wrap(parts.drafter)
        if type(parts.drafter).__module__.startswith("specframe"):
            parts.drafter_component = registry.drafter("first")
        target = Target(TableEngine(Table(vocab=VOCAB)))
        verifier = parts.verifier.at(0).verifier
        rows = make_rows([[1, 2]], Stops(9, 99))
        parts.prepare(target)
        try:
            rounds = specframe.rounds(
                target, parts.drafter, verifier, parts.stop_policy, specframe.Sampler(), rows
            )
            list(rounds)
        except Exception as error:  # noqa: BLE001 (it is what is under test)
            return str(blame(error, parts))
        return None

    return file, registry, decode_with


def test_a_fault_of_a_registered_drafter_names_its_distribution_and_its_line(decode_with):
    file, _, decode_with = decode_with
    message = decode_with("bad")
    assert message.startswith(
        "plug-in 'bad' (specframe-bad 0.3) broke its contract in drafter 'bad': malformed draft: "
        "row 0, node 1 holds token -1, out of vocabulary (size 6) (returned by Bad.guess, "
        f"{line_with(file, '# GUESS')}). To continue without it, uninstall specframe-bad"
    )


def test_what_a_registered_drafter_raises_names_its_line(decode_with):
    file, _, decode_with = decode_with
    message = decode_with("worse")
    where = line_with(file, "# RAISE")
    assert f"(specframe-bad 0.3) raised in drafter 'worse' at {where}: IndexError" in message


@pytest.mark.parametrize(("name", "mark"), [("bad", "# GUESS"), ("worse", "# RAISE")])
def test_a_fault_of_a_part_is_not_blamed_on_the_composition(decode_with, name, mark):
    file, _, decode_with = decode_with
    message = decode_with(name, lambda part: specframe.FirstDrafter([part, Chain()]))
    assert message.startswith("plug-in 'bad' (specframe-bad 0.3) ")
    assert line_with(file, mark) in message


def test_an_implementation_that_is_not_there_names_the_line_that_registers_it(decode_with):
    file, registry, _ = decode_with
    with pytest.raises(PluginError, match="cannot load drafter 'worst'") as caught:
        registry.drafter("worst").build()
    assert line_with(file, "# MISSING") in str(caught.value)


# What only a watch sees.


class Leaks(SequenceDrafter):
    """Write over the keys and values of the last row's first committed token, in one method."""

    def __init__(self, method):
        self._method = method

    def start(self, target, rows, captured):
        self._engine, self._rows = target.engine, rows
        self._leak("start")

    def guess(self, tokens, room):
        return [1]

    def propose(self, rows, stop, sampler):
        self._leak("propose")
        return super().propose(rows, stop, sampler)

    def update(self, rows, draft, scores, commit):
        self._leak("update")

    def keep(self, kept):
        self._leak("keep")

    def _leak(self, method):
        if method == self._method:
            last = len(self._rows) - 1
            is_exact = isinstance(self._engine, ExactEngine)
            engine = self._engine.row(last) if is_exact else self._engine
            engine.cache._keys[0][0 if is_exact else last, :, 0] += 1e-4


@pytest.mark.parametrize("is_exact", [False, True])
@pytest.mark.parametrize("method", ["start", "propose", "update", "keep", "none"])
def test_a_drafter_that_writes_to_the_targets_cache_is_caught_while_debugging(
    monkeypatch, method, is_exact
):
    from specframe._decoder.cache_watch import watched
    from specframe.testing import TinyModel

    drafter = Leaks(method)
    for debug, notices in (("", False), ("1", method != "none")):
        monkeypatch.setenv("SPECFRAME_DEBUG", debug)
        parts = assemble(discover("").registry, drafter, None, StopPolicy(), {})
        engine = TinyModel().engine()
        target = target_on(ExactEngine(engine) if is_exact else engine, origin=UNKNOWN)
        parts.prepare(target)
        message = ""
        try:
            list(
                specframe.rounds(
                    target,
                    watched(drafter),
                    verifier_on(target, parts.verifier.at(0).verifier),
                    parts.stop_policy,
                    specframe.Sampler(),
                    make_rows([[1, 2], [3]], [Stops(2, 99), Stops(6, 99)]),
                )
            )
        except PluginError as error:
            message = str(blame(error, parts))
        assert bool(message) == notices
        if notices:
            assert message.startswith(f"drafter Leaks: {method} wrote to the target's cache, over")
            assert f"(returned by Leaks.{method}, {__file__}:" in message


@pytest.mark.parametrize("method", ["propose", "update"])
@pytest.mark.parametrize(
    ("change", "arguments"),
    [
        ("append", (1,)),
        ("extend", ([1],)),
        ("insert", (0, 1)),
        ("remove", (1,)),
        ("pop", ()),
        ("clear", ()),
        ("sort", ()),
        ("reverse", ()),
        ("__setitem__", (0, 3)),
        ("__delitem__", (0,)),
        ("__iadd__", ([1],)),
        ("__imul__", (2,)),
        ("replaced", ([1],)),
    ],
)
def test_a_drafter_that_changes_what_was_committed_is_refused_in_its_own_line(
    method, change, arguments
):
    """The target would answer another text, and a row that loses what it gains never ends."""

    class Meddles(SequenceDrafter):
        def guess(self, tokens, room):
            return []

    def meddle(self, rows, *rest):
        if change == "replaced":
            rows.active[0].tokens = [1]
        getattr(rows.active[0].tokens, change)(*arguments)
        return getattr(SequenceDrafter, method)(self, rows, *rest)

    setattr(Meddles, method, meddle)
    message = str(decoded(Meddles()))
    assert "row.tokens is the target's: " in message
    assert __file__ in message


@pytest.mark.parametrize("copied", [list, copy.copy, copy.deepcopy, lambda tokens: tokens[:]])
def test_a_copy_of_what_was_committed_may_be_changed(copied):
    (row,) = make_rows([[1, 2]], Stops(3, 99)).active
    tokens = copied(row.tokens)
    tokens.append(3)
    tokens[0] = 7
    assert (tokens, row.tokens) == ([7, 2, 3], [1, 2])


def test_a_watched_drafter_decodes_as_it_does_alone(monkeypatch):
    from specframe._decoder.cache_watch import watched
    from specframe.testing._correct_drafters import Echo

    said = []
    for debug in ("", "1"):
        monkeypatch.setenv("SPECFRAME_DEBUG", debug)
        rows = make_rows([[1, 2], [3]], [Stops(3, 99), Stops(12, 99)])
        everyone = list(rows.active)
        target = Target(TableEngine(Table(vocab=VOCAB)))
        parts = assemble(discover("").registry, watched(Echo()), None, StopPolicy(), {})
        parts.prepare(target)
        list(
            specframe.rounds(
                target,
                parts.drafter,
                parts.verifier.at(0).verifier,
                parts.stop_policy,
                specframe.Sampler(),
                rows,
            )
        )
        said.append([row.tokens for row in everyone])
    assert said[0] == said[1]

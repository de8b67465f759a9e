"""Drafters made of drafters, and stop policies made of stop policies."""

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import specframe
from specframe import (
    AllPolicy,
    AnyPolicy,
    Capabilities,
    Draft,
    Drafter,
    FirstDrafter,
    InputError,
    Law,
    LongestDrafter,
    Needs,
    OptionError,
    PluginError,
    Sampler,
    SequenceDrafter,
    Step,
    StopPolicy,
    Stops,
    Target,
    UnknownNameError,
    build_drafter,
    build_stop_policy,
    check_draft,
    named_parts,
)
from specframe._drafting.merged_drafts import merged
from specframe.testing import StrategyConformance, check_strategy, checks
from specframe.testing._correct_drafters import EarlyExit
from specframe.testing._strategy_suite import make_subject, run_check
from specframe_stops import AllOptions, ConfidenceOptions
from table_engine import Table, TableEngine, make_rows, run

often = settings(max_examples=100, deadline=None)


class Says(SequenceDrafter):
    """Guess a fixed number of tokens, in rows whose last token is listed."""

    def __init__(self, count, *, after=None):
        self.count, self.after = count, after
        self.asked, self.discarded = [], 0

    def guess(self, tokens, room):
        self.asked.append((tokens[-1], room))
        speaks = self.after is None or tokens[-1] in self.after
        return [tokens[-1]] * (min(self.count, room) if speaks else 0)

    def discard(self, rows):
        self.discarded += 1


def proposed(drafter, roots, rooms):
    """Return the draft of one round by hand."""
    target = Target(TableEngine(Table(vocab=50)))
    rows = make_rows([[root, root] for root in roots], Stops(99, 999))
    for row, room in zip(rows.active, rooms, strict=True):
        row.room = room
    drafter.prepare(target)
    drafter.start(target, rows, None)
    draft = drafter.propose(rows, StopPolicy(), Sampler())
    assert rows.rooms == rooms, "the rows' room is the core's"
    return draft


def levels(draft):
    return [size - 1 for size in draft.size_list]


# Drafters.


def test_first_asks_the_next_drafter_only_where_the_one_before_proposed_nothing():
    cheap, costly = Says(2, after={1, 2}), Says(3)
    draft = proposed(FirstDrafter([cheap, costly]), [1, 7, 2], [5, 5, 1])
    assert levels(draft) == [2, 3, 1]
    assert costly.asked == [(7, 5)]
    assert (cheap.discarded, costly.discarded) == (1, 1)


def test_first_leaves_the_others_alone_where_every_row_has_a_draft():
    cheap, costly = Says(2), Says(3)
    draft = proposed(FirstDrafter([cheap, costly]), [1, 7], [5, 0])
    assert levels(draft) == [2, 0]
    assert costly.asked == []
    assert cheap.discarded == 0


def test_longest_takes_the_deepest_and_the_first_of_two_that_tie():
    short, long, other = Says(3), Says(4, after={7}), Says(3)
    drafter = LongestDrafter([short, long, other])
    assert levels(proposed(drafter, [1, 7], [9, 9])) == [3, 4]
    assert (short.discarded, long.discarded, other.discarded) == (1, 1, 1)
    proposed(drafter, [1], [9])
    assert (short.discarded, long.discarded, other.discarded) == (1, 2, 2)


def test_no_part_gets_more_room_than_it_says_it_uses():
    first, second = Says(9, after={1}), Says(9)
    first.most_levels, second.most_levels = 2, 4
    drafter = FirstDrafter([first, second])
    assert levels(proposed(drafter, [1, 7], [9, 9])) == [2, 4]
    assert drafter.most_levels == 4


def test_what_the_parts_need_and_can_do_is_put_together():
    one, two = Says(1), Says(2)
    one.needs, two.needs = Needs(frozenset({2}), prompt=True), Needs(frozenset({3}), normed=True)
    one.capabilities = Capabilities(tree=True, max_nodes=9, shows=frozenset({"probs", "hidden"}))
    two.capabilities = Capabilities(
        batch=False, sampling=True, learns=True, shows=frozenset({"probs"})
    )
    drafter = FirstDrafter([one, Says(3), two])
    drafter.prepare(None)
    assert drafter.needs == Needs(frozenset({2, 3}), normed=True, prompt=True)
    assert drafter.capabilities == Capabilities(
        tree=True,
        batch=False,
        sampling=True,
        max_nodes=9,
        shows=frozenset({"probs"}),
        learns=True,
    )


@pytest.mark.parametrize("kind", [FirstDrafter, LongestDrafter])
def test_a_composition_of_nothing_or_of_one_drafter_twice_is_refused(kind):
    says = Says(1)
    for parts in ([], [says, says], [says, "prompt-lookup"]):
        with pytest.raises(InputError, match=f"{kind.__name__} takes"):
            kind(parts)


def test_a_malformed_draft_is_the_parts_fault():
    class Wild(Says):
        def guess(self, tokens, room):
            return [99]

    wild = Wild(1)
    with pytest.raises(PluginError, match="token 99, out of vocabulary") as caught:
        proposed(FirstDrafter([Says(1, after=()), wild]), [1], [5])
    assert caught.value.part is wild


class Particular(EarlyExit):
    """Draw tokens, as many as the first of them says."""

    def finished(self, draft):
        sizes = [2 if len(row) > 1 and row[1] % 2 else len(row) for row in draft.token_lists]
        return attrs.evolve(draft, sizes=torch.tensor(sizes), exit=None)


@pytest.mark.slow
def test_which_draft_is_longest_does_not_depend_on_what_was_drawn():
    """A draft that was chosen for the tokens drawn is no draw from its q any more."""
    subject = make_subject(lambda: LongestDrafter([Particular(), Says(2)]))
    result = run_check(checks()["check_rejection_keeps_the_distribution"], subject)
    assert result.status == "passed", result.reason


class Exits(Says):
    """Leave states behind, as a self-drafter does."""

    def propose(self, rows, stop, sampler):
        draft = super().propose(rows, stop, sampler)
        shape = draft.tokens.shape
        hidden = torch.zeros(*shape, 1, dtype=torch.float64)
        slots = [[0] * shape[1]] * shape[0]
        return attrs.evolve(draft, exit=specframe.Exit(1, hidden, slots))

    def update(self, rows, draft, scores, commit):
        self.saw = draft.exit


@pytest.mark.parametrize(("kind", "last_wins"), [(LongestDrafter, True), (LongestDrafter, False)])
def test_only_the_last_drafter_that_ran_layers_may_keep_its_exit(kind, last_wins):
    parts = [Exits(2), Exits(3)] if last_wins else [Exits(3), Exits(2)]
    drafter = kind(parts)
    draft = proposed(drafter, [1], [5])
    assert (draft.exit is not None) == last_wins
    drafter.update(None, draft, None, None)
    assert parts[0].saw is None
    assert (parts[1].saw is not None) == last_wins


def test_the_exit_goes_where_rows_come_from_several_drafters():
    drafter = FirstDrafter([Says(1, after={1}), Exits(2)])
    assert proposed(drafter, [1, 7], [5, 5]).exit is None
    assert proposed(drafter, [7, 8], [5, 5]).exit is not None


def test_merged_rows_keep_their_law_q_and_candidates():
    q = torch.rand(2, 3, 6).softmax(-1)
    drawn = attrs.evolve(
        Draft.chains([1, 1], [[2, 3, 4], [2, 3, 4]]),
        law=Law.IID,
        probs=q,
        inner=torch.tensor([[0, 1, 2], [0, 1, 2]]),
    )
    marked = attrs.evolve(
        Draft.chains([5, 5], [[1], [1]]), candidates=torch.tensor([[True, False]] * 2)
    )
    both = merged([drawn, marked], [0, 1])
    check_draft(both, 6, [3, 3])
    assert both.token_lists == [[1, 2, 3, 4], [5, 1]]
    assert both.laws == [Law.IID, Law.DETERMINISTIC]
    assert both.candidate_lists == [[True] * 4, [True, False]]
    assert torch.equal(both.q(0, 2), q[0, 2])
    assert both.q(1, 0) is None


@pytest.mark.slow
class TestFirst(StrategyConformance):
    strategy = "first"
    options = {  # noqa: RUF012 (the kit's attribute)
        "drafters": "prompt-lookup:min_ngram=2+kangaroo:tree=true:tree_top_k=3:max_nodes=16"
    }


@pytest.mark.slow
class TestLongest(StrategyConformance):
    """Parts that overwrite each other in the target's cache, and one with its own cache."""

    strategy = "longest"
    options = {  # noqa: RUF012 (the kit's attribute)
        "drafters": "prompt-lookup:min_ngram=2+draft-model:model=x+kangaroo+early-exit:exit_layer=1"
    }


@pytest.mark.models
class TestLookupThenKangaroo(StrategyConformance):
    strategy = "first"
    level = "full"


def test_one_name_with_its_options_is_read_after_the_other():
    first, second = named_parts(r"kangaroo:adapter=C:\a:steps=3 + prompt-lookup")
    assert (first.name, first.options) == ("kangaroo", {"adapter": r"C:\a", "steps": "3"})
    assert (second.name, second.options) == ("prompt-lookup", {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a++b", "an empty name"),
        ("", "an empty name"),
        ("a:b", "write a:KEY=VALUE, got 'b'"),
        ("a:x=1:x=2", "gives option 'x' twice"),
    ],
)
def test_names_that_cannot_be_read_are_refused(text, words):
    with pytest.raises(OptionError, match=words):
        named_parts(text)


def test_parts_are_built_by_name_with_options_as_typed():
    assert build_drafter("prompt-lookup", {"steps": "4"}).most_levels == 4
    with pytest.raises(UnknownNameError, match="did you mean 'prompt-lookup'"):
        build_drafter("prompt-lokup")
    with pytest.raises(OptionError, match="drafter 'prompt-lookup' has no option 'x'"):
        build_drafter("prompt-lookup", {"x": "4"})
    policy = build_stop_policy("fixed", suggested={"steps": 3, "threshold": 0.2})
    assert policy.limit([None]) == [3]


@pytest.mark.models
def test_a_wrong_name_in_a_composition_is_refused_before_a_model_is_read():
    with pytest.raises(UnknownNameError, match="unknown drafter 'kangroo'"):
        specframe.load("no/such/model", strategy="first", options={"drafters": "kangroo"})


# Stop policies.


class At(StopPolicy):
    """End rows before or after given levels."""

    def __init__(self, *, before=99, after=99, limit=99):
        self._before, self._after, self._limit = before, after, limit

    @property
    def length(self):
        return min(self._before - 1, self._after, self._limit)

    def limit(self, rows):
        return [self._limit] * len(rows)

    def before(self, step):
        return None if self._before == 99 else torch.tensor([step.level == self._before])

    def after(self, step):
        return None if self._after == 99 else torch.tensor([step.level == self._after])


def drafted(policy, most=20):
    """Return how many levels a row gets, asked as grow_chain asks."""
    (limit,) = policy.limit([None])
    for level in range(1, min(limit, most) + 1):
        step = Step(level, torch.zeros(1, 3), torch.tensor([True]))
        for question, length in ((policy.before, level - 1), (policy.after, level)):
            said = question(step)
            if said is not None and bool(said):
                return length
    return min(limit, most)


places = st.integers(1, 8) | st.just(99)
stops_at = st.builds(
    lambda b, a, n: At(before=b, after=a, limit=n), places, places, st.integers(1, 12)
)


@often
@given(st.lists(stops_at, min_size=1, max_size=4))
def test_any_drafts_as_far_as_the_first_to_stop_and_all_as_far_as_the_last(policies):
    lengths = [policy.length for policy in policies]
    for _ in range(2):
        assert drafted(AnyPolicy(policies)) == min(lengths)
        assert drafted(AllPolicy(policies)) == max(lengths)


def test_all_forgets_who_ended_when_the_next_round_begins():
    policy = AllPolicy([At(after=1), At(after=4)])
    assert [drafted(policy) for _ in range(3)] == [4, 4, 4]


def test_a_composed_policy_reads_and_learns_what_its_parts_do():
    policy = build_stop_policy("any", {"policies": "confidence+svip+cost-aware"})
    assert policy.reads == {"confidence", "entropy"}
    assert policy.learns
    assert policy.times
    assert not build_stop_policy("all").learns
    assert StopPolicy.reads == frozenset()


def test_a_composed_policy_passes_on_what_a_drafter_suggests():
    policy = build_stop_policy(
        "all",
        {"policies": "confidence+confidence:threshold=0.1+fixed:steps=2"},
        suggested={"threshold": 0.9, "steps": 5},
    )
    own = [getattr(part, "_threshold", None) for part in policy.parts]
    assert own == [0.9, 0.1, None]
    assert policy.limit([None]) == [5]
    assert AllOptions().threshold is None
    assert ConfidenceOptions().threshold == 0.6


@pytest.mark.parametrize("kind", [AnyPolicy, AllPolicy])
def test_a_composed_policy_of_nothing_or_of_one_policy_twice_is_refused(kind):
    policy = StopPolicy()
    for parts in ([], [policy, policy], ["fixed"]):
        with pytest.raises(InputError, match=f"{kind.__name__} takes"):
            kind(parts)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["any", "all"])
def test_a_composed_policy_conforms(name):
    def policy():
        return build_stop_policy(name, {"policies": "confidence:threshold=0.3+heuristic+adaedl"})

    check_strategy(EarlyExit, stop_policy=policy, max_examples=8)


def test_state_that_outlives_a_sequence_is_every_parts():
    class Counts(Drafter):
        capabilities = Capabilities(learns=True)
        calls = ()

        def propose(self, rows, stop, sampler):
            return Draft.chains(rows.roots, [[] for _ in rows.active])

        def reset(self):
            self.calls += ("reset",)

        def keep(self, kept):
            self.calls += (tuple(kept),)

    parts = [Counts(), Counts()]
    drafter = LongestDrafter(parts)
    drafter.reset()
    run(Table(), drafter, make_rows([[1], [2]], [Stops(1, 99), Stops(3, 99)]))
    assert [part.calls for part in parts] == [("reset", (1,))] * 2

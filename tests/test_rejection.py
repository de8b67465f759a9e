"""The laws of ``rejection`` by enumeration and by chance, and the rule of ``typical``."""

import itertools
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from specframe import Draft, Law, Sampler, Sampling, Scores, Stops, check_draft
from specframe.testing._hypothesis_strategies import parent_lists
from specframe_verifiers import TypicalOptions
from specframe_verifiers._rejection import RejectionVerifier
from specframe_verifiers._typical import TypicalVerifier
from table_engine import Table, make_rows
from table_voices import Guesser, make_seeded, sample

VOCAB = 3
often = settings(max_examples=120, deadline=None)
weights = st.lists(st.integers(0, 3), min_size=VOCAB, max_size=VOCAB).filter(any)


class Branching(Sampler):
    """Follow one branch of all that may happen; ``coins`` are the outcomes so far.

    A coin beyond them lands on its first possible side and is noted with what else there is.
    """

    def __init__(self, coins):
        super().__init__(Sampling(1.0), wants_q=True)
        self.coins, self.chance, self.taken, self.left = list(coins), 1.0, [], None

    def accepts(self, row, node, draw, chance):
        chance = min(1.0, chance)
        at = len(self.taken)
        side = self.coins[at] if at < len(self.coins) else chance > 0
        self.taken.append((side, chance))
        self.chance *= chance if side else 1 - chance
        return side

    def sample(self, row, node, probs):
        self.left = probs
        return 0


def outcomes(draft, logits):
    """Return every way a verdict may fall: (path, distribution of the token after it, chance)."""
    waiting, found = [[]], []
    rows = make_rows([[0]], Stops(9, 99))
    while waiting:
        sampler = Branching(waiting.pop())
        verdict = RejectionVerifier().verify(rows, draft, Scores(logits), sampler)
        if sampler.chance > 0:
            found.append((verdict.path_lists[0], sampler.left.tolist(), sampler.chance))
        sides = [side for side, _ in sampler.taken]
        waiting += [
            [*sides[:at], False]
            for at in range(len(sampler.coins), len(sides))
            if sides[at] and sampler.taken[at][1] < 1
        ]
    assert math.isclose(sum(chance for *_, chance in found), 1)
    return found


def tree_of(parents, tokens, law, q):
    """Return a draft of one row whose inner nodes have the q of ``q``."""
    inner = sorted(set(parents[1:]))
    return Draft(
        tokens=torch.tensor([[0, *tokens]]),
        parents=torch.tensor([parents]),
        sizes=torch.tensor([len(parents)]),
        law=law,
        probs=torch.tensor([[q[node] for node in inner]], dtype=torch.float64) if inner else None,
        inner=torch.tensor([inner]) if inner else None,
    )


def drawings(parents, law, q):
    """Return every (tokens, chance) that a drafter of this law may draw for the nodes."""
    for tokens in itertools.product(range(VOCAB), repeat=len(parents) - 1):
        chance, taken = 1.0, {}
        for token, parent in zip(tokens, parents[1:], strict=True):
            gone = taken.setdefault(parent, [])
            mass = sum(q[parent][other] for other in range(VOCAB) if other not in gone)
            if law is Law.WITHOUT_REPLACEMENT:
                chance *= q[parent][token] / mass if mass and token not in gone else 0.0
                gone.append(token)
            else:
                chance *= q[parent][token]
        if chance > 0:
            yield tokens, chance


def normed(values):
    return [value / sum(values) for value in values]


def first_tokens(draft, found):
    """Return the law of the first token that a verdict commits."""
    law = [0.0] * VOCAB
    for path, left, chance in found:
        for token, share in enumerate(left):
            law[draft.token_lists[0][path[0]] if path else token] += chance * share
    return law


def pairs(draft, found, p_below):
    """Return the law of the first two tokens; beyond the verdict the target itself continues."""
    law = {}
    for path, left, chance in found:
        tokens = [draft.token_lists[0][node] for node in path]
        for token, share in enumerate(left):
            said = [*tokens, token][:2]
            for more in [said] if len(said) == 2 else [[*said, last] for last in range(VOCAB)]:
                rest = 1.0 if len(said) == 2 else p_below[more[1]]
                law[tuple(more)] = law.get(tuple(more), 0.0) + chance * share * rest
    return law


families = st.sampled_from([[-1, 0, 0], [-1, 0, 0, 0], [-1, 0, 0, 1, 1], [-1, 0, 1, 1, 0]])
positive = st.lists(st.integers(1, 5), min_size=VOCAB, max_size=VOCAB)


@often
@given(families | parent_lists(5), st.sampled_from([Law.IID, Law.WITHOUT_REPLACEMENT]), weights,
       weights, weights | positive, weights | positive)  # fmt: skip
def test_drawn_trees_keep_the_law_of_the_next_two_tokens(parents, law, p, p_below, q, q_below):
    p, p_below, q, q_below = map(normed, (p, p_below, q, q_below))
    depths = [0]
    for parent in parents[1:]:
        depths.append(depths[parent] + 1)
    logits = torch.tensor([[p] + [p_below] * (len(parents) - 1)], dtype=torch.float64).log()
    total = {}
    q_at = [q if depth == 0 else q_below for depth in depths]
    assume(law is Law.IID or _has_mass(parents, q_at))
    for tokens, chance in drawings(parents, law, q_at):
        draft = tree_of(parents, tokens, law, q_at)
        for said, share in pairs(draft, outcomes(draft, logits), p_below).items():
            total[said] = total.get(said, 0.0) + chance * share
    for one, other in itertools.product(range(VOCAB), repeat=2):
        assert total.get((one, other), 0.0) == pytest.approx(p[one] * p_below[other], abs=1e-9)


def _has_mass(parents, q_at):
    """Tell whether no parent has more children than its q has tokens."""
    return all(
        parents.count(node) <= sum(value > 0 for value in q_at[node])
        for node in range(len(parents))
    )


@often
@given(parent_lists(6), st.lists(st.integers(0, 2), min_size=5, max_size=5), weights, weights)
def test_a_tree_that_was_not_drawn_keeps_the_law_unchanged(parents, tokens, p, p_below):
    p, p_below = normed(p), normed(p_below)
    tokens = tokens[: len(parents) - 1]
    draft = tree_of(parents, tokens, Law.DETERMINISTIC, [p] * len(parents))
    logits = torch.tensor([[p] + [p_below] * (len(parents) - 1)], dtype=torch.float64).log()
    found = outcomes(draft, logits)
    assert first_tokens(draft, found) == pytest.approx(p, abs=1e-9)
    law = pairs(draft, found, p_below)
    for one, other in itertools.product(range(VOCAB), repeat=2):
        assert law.get((one, other), 0.0) == pytest.approx(p[one] * p_below[other], abs=1e-9)


class Hidden:
    """Two distributions over four tokens: what the target says anywhere, and what is drafted."""

    target = (1.2, 0.0, 0.4, -1.0)
    draft = (0.0, 1.0, -0.5, 0.3)


def chi_square(counts, chances):
    total = sum(counts.values())
    return sum(
        (counts.get(said, 0) - total * chance) ** 2 / (total * chance)
        for said, chance in chances.items()
    )


@pytest.mark.slow
def test_the_random_path_keeps_the_law_of_three_tokens():
    """Rejection through the loop, every row with its own seed; tokens 2 to 4 of each.

    Shared noise between drawing, accepting and correcting shows up as a wrong law here.
    """

    class Same(Table):
        vocab = 4

        def scores(self, digest):
            return list(Hidden.target)

    table, count = Same(layers=1, vocab=4), 2500
    rows = make_seeded([[1]] * count, Stops(4, 99), range(count))
    everyone = list(rows.active)
    drafter = Guesser(lambda _: Hidden.draft, 2)
    sample(table, drafter, rows, Sampling(1.0), verifier=RejectionVerifier())
    p = torch.tensor(Hidden.target, dtype=torch.float64).softmax(dim=-1).tolist()
    counts = {}
    for row in everyone:
        said = tuple(row.new_tokens[1:])
        counts[said] = counts.get(said, 0) + 1
    chances = {
        said: math.prod(p[token] for token in said)
        for said in itertools.product(range(4), repeat=3)
    }
    assert chi_square(counts, chances) < 104  # 63 degrees of freedom, 0.1 %


@often
@given(parent_lists(6), st.lists(st.integers(0, 2), min_size=5, max_size=5),
       st.lists(weights, min_size=6, max_size=6), st.sampled_from([0.05, 0.3, 0.6]))  # fmt: skip
def test_typical_keeps_a_longest_path_of_plausible_tokens(parents, tokens, p, epsilon):
    tokens = tokens[: len(parents) - 1]
    p = [normed([value + 0.01 for value in one]) for one in p[: len(parents)]]
    draft = tree_of(parents, tokens, Law.DETERMINISTIC, p)
    verifier = TypicalVerifier(TypicalOptions(epsilon=epsilon, delta=0.5))
    rows, logits = make_rows([[0]], Stops(9, 99)), torch.tensor([p], dtype=torch.float64).log()
    verdict = verifier.verify(rows, draft, Scores(logits), Sampler(Sampling(1.0)))
    plausible = {0}
    for node, parent in enumerate(parents[1:], start=1):
        least = min(epsilon, 0.5 * math.exp(sum(x * math.log(x) for x in p[parent])))
        if parent in plausible and p[parent][tokens[node - 1]] > least:
            plausible.add(node)
    ways = [draft.path_tokens(0, node) for node in plausible]
    (path,) = verdict.path_lists
    assert set(path) <= plausible
    assert len(path) == max(map(len, ways))


class Noted(Sampler):
    """Accept everything that has a chance, and note the chances."""

    def __init__(self):
        super().__init__(Sampling(1.0), wants_q=True)
        self.chances = []

    def accepts(self, row, node, draw, chance):
        self.chances.append(chance)
        return chance > 0


def draft_of_siblings(law, candidates):
    return Draft(
        tokens=torch.tensor([[2, 0, 1]]),
        parents=torch.tensor([[-1, 0, 0]]),
        sizes=torch.tensor([3]),
        law=law,
        candidates=torch.tensor([[True, *candidates]]),
        probs=torch.tensor([[[0.9, 0.1, 0.0]]]),
        inner=torch.tensor([[0]]),
    )


def test_a_sibling_that_is_no_candidate_still_leaves_q_where_it_cannot_be_drawn_again():
    scores = Scores(torch.tensor([[[0.9, 0.1, 1e-30]] * 3]).log())
    for law, chance in ((Law.WITHOUT_REPLACEMENT, 0.1), (Law.IID, 1.0)):
        sampler = Noted()
        draft = draft_of_siblings(law, [False, True])
        check_draft(draft, 3, [1])
        verdict = RejectionVerifier().verify(
            make_rows([[1, 2]], Stops(9, 99)), draft, scores, sampler
        )
        assert sampler.chances == [pytest.approx(chance)]
        assert verdict.path_lists == [[2]]


@pytest.mark.parametrize("verifier", [RejectionVerifier(), TypicalVerifier(TypicalOptions())])
def test_what_is_no_candidate_is_never_accepted(verifier):
    scores = Scores(torch.tensor([[[50.0, 0.0, 0.0]] * 3]))
    draft = draft_of_siblings(Law.WITHOUT_REPLACEMENT, [False, True])
    rows = make_rows([[1, 2]], Stops(9, 99))
    sampler = Sampler(Sampling(1.0), wants_q=verifier.needs_q)
    assert verifier.verify(rows, draft, scores, sampler).path_lists == [[]]

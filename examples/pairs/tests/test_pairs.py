"""The drafter keeps the rules, its q is the one it says, and the target's law is kept."""

import pytest
import torch

import specframe
from specframe import Captured, Law, Sampler, Sampling, StopPolicy, Stops, Target, leave
from specframe.testing import StrategyConformance, Table, make_rows
from specframe_pairs import PairsOptions
from specframe_pairs._drafter import PairCounts, PairsDrafter

PROMPT = [1, 2, 1, 2, 1, 3]


class TestConformance(StrategyConformance):
    strategy = "pairs"
    level = "full"


def drafted(sampler, prompt=PROMPT, **options):
    """Return what is drafted behind a prompt whose last token is the root."""
    table = Table(vocab=5)
    target, drafter = Target(table.engine()), PairsDrafter(PairsOptions(**options))
    target.prefill(make_rows([prompt], Stops(9, 100)), sampler, drafter.needs)
    rows = make_rows([[*prompt, 1]], Stops(9, 100))  # as if the target had said 1
    drafter.start(target, rows, Captured())
    stop = StopPolicy()
    assert leave(rows, target, drafter, stop, sampler)
    return drafter.propose(rows, stop, sampler)


def test_q_is_the_smoothed_share_of_each_pair():
    draft = drafted(Sampler(Sampling(temperature=1.0), wants_q=True), smoothing=0.5)
    assert draft.laws == [Law.IID]
    # Behind 1: twice a 2, once a 3, and a tenth of everything; the root is the 1 that was put last.
    expected = torch.tensor([0.1, 0.1, 2.1, 1.1, 0.1], dtype=torch.float64) / 3.5
    torch.testing.assert_close(draft.q(0, 0).double(), expected, rtol=0, atol=1e-6)


def test_greedily_the_most_frequent_follower_is_drafted():
    draft = drafted(Sampler())
    assert draft.token_lists[0][:3] == [1, 2, 1]
    assert draft.laws == [Law.DETERMINISTIC]


def test_the_steps_bound_the_draft():
    assert drafted(Sampler(), steps=2).size_list == [3]


def test_pairs_across_two_readings_are_counted_once():
    counts = PairCounts()
    counts.read([1, 2])
    counts.read([1, 2, 1])
    counts.read([1, 2, 1, 2])
    assert counts.after(1) == {2: 2}
    assert counts.after(2) == {1: 1}


@pytest.mark.parametrize("smoothing", [0.0, -1.0, float("nan")])
def test_a_smoothing_that_leaves_tokens_without_mass_is_refused(smoothing):
    with pytest.raises(specframe.OptionError, match="smoothing"):
        PairsOptions(smoothing=smoothing)

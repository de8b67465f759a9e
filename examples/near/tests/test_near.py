"""The verifier accepts what it says it accepts, and is labelled for what it is."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import specframe
from specframe import Draft, Sampler, Sampling, Scores, Stops
from specframe.testing import check_verifier, draft_trees, make_rows
from specframe_near import NearOptions
from specframe_near._verifier import NearVerifier

VOCAB = 3
LOGITS = st.lists(st.floats(-2, 2), min_size=VOCAB, max_size=VOCAB)


def verify(draft, logits, ratio, sampler=None):
    rows = make_rows([[int(draft.tokens[0, 0])]], Stops(9, 100))
    verifier = NearVerifier(NearOptions(ratio=ratio))
    scores = Scores(torch.tensor([logits], dtype=torch.float64))
    return verifier.verify(rows, draft, scores, sampler or Sampler())


def test_the_verifier_keeps_the_rules_that_hold_without_a_guarantee():
    results = {result.name: result for result in check_verifier("near")}
    assert results["check_padding_is_never_accepted"].status == "passed"
    assert {result.status for result in results.values()} == {"passed", "skipped"}


@settings(deadline=None)
@given(draft_trees(VOCAB), st.lists(LOGITS, min_size=12, max_size=12), st.floats(0.01, 1))
def test_a_longest_path_of_near_tokens_is_accepted(draft, logits, ratio):
    tokens, parents = draft.token_lists[0], draft.parent_lists[0]
    logits = logits[: draft.tokens.shape[1]]

    def is_near(node):
        above = logits[parents[node]]
        gap = max(above) - above[tokens[node]]
        assume(gap == 0 or abs(gap + math.log(ratio)) > 1e-9)  # rounding decides nothing
        return gap <= -math.log(ratio) and draft.candidate_lists[0][node]

    reached = {0: 0}
    for node in range(1, len(tokens)):
        if parents[node] in reached and is_near(node):
            reached[node] = reached[parents[node]] + 1
    verdict = verify(draft, logits, ratio)
    (path,) = verdict.path_lists
    assert len(path) == max(reached.values())
    assert [parents[node] for node in path] == [0, *path][: len(path)]
    assert all(is_near(node) for node in path)
    last = logits[path[-1] if path else 0]
    assert verdict.next_token.tolist() == [last.index(max(last))]


def test_at_ratio_one_only_the_likeliest_token_is_kept():
    draft = Draft.trees([[0, 1, 2, 1]], [[-1, 0, 0, 2]])
    logits = [[0.0, 0.9, 1.0], [0.0] * 3, [0.0, 1.0, 0.9], [1.0, 0.0, 0.0]]
    assert verify(draft, logits, 1.0).path_lists == [[2, 3]]
    assert verify(draft, [[0.0, 1.0, 0.9], *logits[1:]], 1.0).path_lists == [[1]]


def test_temperature_counts():
    """At temperature 4 a token e times less likely is only e^(1/4) times less likely."""
    draft, logits = Draft.trees([[0, 1]], [[-1, 0]]), [[1.0, 0.0, 0.0]] * 2
    hot = Sampler(Sampling(temperature=4.0))
    assert verify(draft, logits, 0.5).path_lists == [[]]
    assert verify(draft, logits, 0.5, hot).path_lists == [[1]]


def test_what_a_filter_rules_out_is_never_near():
    draft, logits = Draft.trees([[0, 1]], [[-1, 0]]), [[1.0, 0.9, 0.0]] * 2
    narrow = Sampler(Sampling(temperature=1.0, top_k=1))
    assert verify(draft, logits, 0.5, narrow).path_lists == [[]]


@pytest.mark.parametrize("ratio", [0, -0.1, 1.1, float("nan")])
def test_a_ratio_out_of_range_is_refused(ratio):
    with pytest.raises(specframe.OptionError, match="ratio"):
        NearOptions(ratio=ratio)


def test_a_decode_says_that_nothing_is_promised():
    with specframe.load(verifier="near", options={"verifier.ratio": 0.2}) as decoder:
        plain = decoder.plain().decode("import os\n", max_new_tokens=32)
        result = decoder.decode("import os\n", max_new_tokens=32)
        assert decoder.setup.guarantee == "none"
    assert result.metrics.mean_acceptance_length > 1
    assert result.token_ids != plain.token_ids

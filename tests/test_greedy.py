"""The greedy verifier: the deepest path of argmaxes, by an independent definition.

On the host, and by the walk that devices record.
"""

from functools import partial

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from specframe import Draft, Rows, Sampler, Scores
from specframe._round.acceptance import ON_HOST, Acceptance, accept_on_device, follow
from specframe_verifiers._match import GreedyVerifier

VOCAB = 3
CPU = torch.device("cpu")
WAYS = pytest.mark.parametrize(
    "way",
    [ON_HOST, Acceptance(partial(accept_on_device, follow, CPU), waits=False)],
    ids=["host", "device"],
)


@st.composite
def trees(draw):
    """Draw one row: tokens, parents, candidates, and small whole logits that often tie."""
    size = draw(st.integers(1, 9))
    token = st.integers(0, VOCAB - 1)
    return (
        draw(st.lists(token, min_size=size, max_size=size)),
        [-1, *(draw(st.integers(0, node - 1)) for node in range(1, size))],
        draw(st.lists(st.sampled_from([True, True, False]), min_size=size, max_size=size)),
        [draw(st.lists(st.integers(0, 2), min_size=VOCAB, max_size=VOCAB)) for _ in range(size)],
    )


def told(logits):
    """Return the first of the largest logits."""
    return min(token for token in range(VOCAB) if logits[token] == max(logits))


def paths_below(row, node):
    """Return every path of accepted nodes that starts under ``node``."""
    tokens, parents, allowed, logits = row
    found = [[]]
    for child, parent in enumerate(parents):
        if parent == node and allowed[child] and tokens[child] == told(logits[node]):
            found += [[child, *path] for path in paths_below(row, child)]
    return found


def verify(rows, way):
    """Ask the verifier about padded rows; the padding looks tempting."""
    width = max(len(tokens) for tokens, *_ in rows)

    def padded(part, fill):
        return [[*row[part], *[fill] * (width - len(row[part]))] for row in rows]

    draft = Draft(
        tokens=torch.tensor(padded(0, 0)),
        parents=torch.tensor(padded(1, 0)),
        sizes=torch.tensor([len(tokens) for tokens, *_ in rows]),
        candidates=torch.tensor(padded(2, True)),
    )
    logits = torch.tensor(padded(3, [1, 0, 0])).double()
    return GreedyVerifier().verify(Rows([]), draft, Scores(logits, acceptance=way), Sampler())


@WAYS
@settings(max_examples=300, deadline=None)
@given(rows=st.lists(trees(), min_size=1, max_size=3))
# Two siblings with the right token: the longer way leads through the second.
@example(
    rows=[([0, 1, 1, 2], [-1, 0, 0, 2], [True] * 4, [[0, 1, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0]])]
)
def test_the_deepest_path_of_argmaxes_is_accepted(rows, way):
    verdict = verify(rows, way)
    for place, (row, path) in enumerate(zip(rows, verdict.path_lists, strict=True)):
        every = paths_below(row, 0)
        assert path in every
        assert len(path) == max(map(len, every))
        last = path[-1] if path else 0
        assert verdict.next_token[place] == told(row[3][last])
        choices = verdict.choices[place, : len(row[0])].tolist()
        assert choices == [told(logits) for logits in row[3]]
        assert verdict.accepted[place] == len(path)
        assert verdict.path[place, : len(path)].tolist() == path
        assert not verdict.path[place, len(path) :].any()


@WAYS
@pytest.mark.parametrize("wrong", range(5))
def test_a_chain_is_accepted_up_to_its_first_wrong_token(wrong, way):
    tokens = [0, 1, 1, 1, 1]
    if wrong:
        tokens[wrong] = 2
    verdict = verify([(tokens, [-1, 0, 1, 2, 3], [True] * 5, [[0, 1, 0]] * 5)], way)
    count = wrong - 1 if wrong else 4
    assert verdict.path_lists == [list(range(1, count + 1))]
    assert verdict.next_token.tolist() == [1]


def test_a_tie_goes_to_the_lowest_token_in_every_dtype():
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        logits = torch.zeros(1, 2, 1000, dtype=dtype)
        logits[..., 700:] = 1.0
        draft = Draft.chains([0], [[700]])
        verdict = GreedyVerifier().verify(Rows([]), draft, Scores(logits), Sampler())
        assert verdict.path_lists == [[1]]
        assert verdict.next_token.tolist() == [700]
        assert Sampler().choose(Rows([]), draft, Scores(logits)).tolist() == [[700, 700]]


@WAYS
def test_padding_and_non_candidates_are_never_accepted(way):
    right = [[0, 1, 0]] * 3
    verdict = verify(
        [
            ([0, 1, 1], [-1, 0, 1], [True, False, True], right),
            ([0, 1], [-1, 0], [True] * 2, right[:2]),
        ],
        way,
    )
    assert verdict.path_lists == [[], [1]]


@pytest.mark.parametrize("width", [1, 2, 8, 64])
def test_the_walk_of_a_device_has_no_shape_that_hangs_on_a_value(width):
    """A tensor without values fails where one is read, as a recording would."""
    with FakeTensorMode():
        answer = follow(torch.zeros(2, width, 5 + width, dtype=torch.long))
    assert answer.shape == (2, width, 4)


@given(st.integers(2, 70), st.data())
def test_the_walk_of_a_device_knows_its_way_at_any_depth(width, data):
    depth = data.draw(st.integers(0, width - 1))
    tokens = [1] * (depth + 1) + [2] * (width - 1 - depth)
    verdict = accept_on_device(
        follow, CPU, Draft.chains([1], [tokens[1:]]), torch.ones(1, width, dtype=torch.long)
    )
    assert verdict.path_lists == [list(range(1, depth + 1))]

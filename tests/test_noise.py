"""Random numbers by key: Philox as published, no two keys alike, Gumbel noise that is Gumbel."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specframe._sampling.noise import Key, Purpose, between, gumbels, uniforms

WORD = (1 << 64) - 1
often = settings(max_examples=200, deadline=None)
seeds = st.integers(0, WORD) | st.integers(0, 3)
keys = st.builds(
    Key,
    seed=seeds,
    purpose=st.sampled_from(Purpose),
    index=st.integers(0, 4),
    node=st.integers(0, 4),
    draw=st.integers(0, 4),
)


def philox(counter, key):
    """Return the four words of Philox4x64-10, as its paper (Salmon et al., SC 2011) defines it."""
    a, b, c, d = counter
    first, second = key
    for _ in range(10):
        high, low = divmod(0xD2E7470EE14C6C93 * a, 1 << 64)
        other_high, other_low = divmod(0xCA5A826395121157 * c, 1 << 64)
        a, b, c, d = other_high ^ b ^ first, other_low, high ^ d ^ second, low
        first, second = (first + 0x9E3779B97F4A7C15) & WORD, (second + 0xBB67AE8584CAA73B) & WORD
    return [a, b, c, d]


def words(key, count):
    """Return the raw words that belong to a key; NumPy counts on before it draws."""
    place = (key.index, key.node, key.draw)
    blocks = (
        philox((block, *place), (key.seed, int(key.purpose)))
        for block in range(1, 1 + -(-count // 4))
    )
    return [word for block in blocks for word in block][:count]


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        (
            [0] * 4,
            [0] * 2,
            "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b",
        ),
        (
            [WORD] * 4,
            [WORD] * 2,
            "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0",
        ),
    ],
)
def test_this_files_philox_is_the_published_one(counter, key, expected):
    """The vectors are those of the Random123 distribution."""
    assert philox(counter, key) == [int(word, 16) for word in expected.split()]


@often
@given(keys, st.integers(1, 9))
def test_uniforms_are_philox_of_seed_purpose_index_node_and_draw(key, count):
    expected = [((word >> 12) + 0.5) * 2.0**-52 for word in words(key, count)]
    assert uniforms(key, count).tolist() == expected


def test_a_seed_says_the_same_in_every_version():
    """These numbers are a promise: with others, every text that was sampled before changes."""
    assert uniforms(Key(7, Purpose.COUPLE, 3), 3).tolist() == COUPLE_OF_SEED_7
    others = [Key(7, purpose, 3, 2, 1) for purpose in Purpose]
    assert [float(uniforms(key)) for key in others] == FIRST_OF_EACH_PURPOSE


COUPLE_OF_SEED_7 = [0.4390022309004499, 0.16565868824354302, 0.9823047004092401]
FIRST_OF_EACH_PURPOSE = [
    0.6713649223947628,
    0.4424422491257106,
    0.7451323485933566,
    0.19148369069703464,
]


def test_more_numbers_of_a_key_begin_with_the_fewer():
    key = Key(1, Purpose.DRAFT, 2, 3)
    assert uniforms(key, 100)[:7].tolist() == uniforms(key, 7).tolist()


@often
@given(keys, keys)
def test_two_keys_share_no_number(one, other):
    numbers = set(uniforms(one, 8).tolist())
    assert len(numbers) == 8
    assert (one == other) == (not numbers.isdisjoint(uniforms(other, 8).tolist()))


def test_neighbouring_keys_are_all_different():
    some = [
        Key(seed, purpose, *place)
        for seed in (0, 1)
        for purpose in Purpose
        for place in itertools.product(range(4), repeat=3)
    ]
    assert len({float(uniforms(key)) for key in some}) == len(some) == 512


def test_uniforms_lie_strictly_between_0_and_1():
    extremes = between(np.array([0, WORD, WORD - 4095, 4095], dtype=np.uint64))
    assert [0 < number < 1 for number in extremes.tolist()] == [True] * 4
    assert all(map(math.isfinite, (-np.log(-np.log(extremes))).tolist()))


def test_gumbels_have_the_gumbel_law():
    count = 200_000
    noise = gumbels(Key(11, Purpose.COUPLE, 5), count).sort().values
    law = (-(-noise).exp()).exp()
    steps = torch.arange(1, count + 1, dtype=torch.float64) / count
    assert float((law - steps).abs().max()) < 1.63 / math.sqrt(count)  # Kolmogorov, 1 %
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.01)
    assert float(noise.var()) == pytest.approx(math.pi**2 / 6, abs=0.03)


def test_the_largest_of_logits_and_noise_is_a_draw_from_their_softmax():
    logits = torch.tensor([1.0, 0.0, -1.0, 2.0]).double()
    draws = 20_000
    noise = torch.stack([gumbels(Key(3, Purpose.COUPLE, index), 4) for index in range(draws)])
    counts = (logits + noise).argmax(dim=-1).bincount(minlength=4)
    expected = draws * logits.softmax(dim=-1)
    assert float(((counts - expected) ** 2 / expected).sum()) < 16.3  # chi-square, 3 dof, 0.1 %


def test_noise_of_one_index_says_nothing_about_the_next():
    noise = torch.stack([uniforms(Key(2, Purpose.COUPLE, index), 64) for index in range(500)])
    together = torch.corrcoef(noise.T)
    assert float((together - torch.eye(64)).abs().max()) < 5 / math.sqrt(500)

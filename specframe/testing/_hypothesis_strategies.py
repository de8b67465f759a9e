"""Hypothesis strategies for tests of drafters and verifiers; part of the public interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from hypothesis import strategies as st

from specframe import Draft
from specframe.testing._table_target import Table
from specframe.testing._tiny_model import TinyModel

if TYPE_CHECKING:
    from specframe.testing._oracle import Oracle

VOCAB = 6  # the tokens that prompts are made of: few, so that they repeat
Probs = list[float]


def token_sequences(
    vocab: int = VOCAB, *, min_size: int = 1, max_size: int = 8
) -> st.SearchStrategy[list[int]]:
    """Return lists of ``min_size`` to ``max_size`` token ids below ``vocab``.

    Raises no error of specframe's.
    """
    return st.lists(st.integers(0, vocab - 1), min_size=min_size, max_size=max_size)


@st.composite
def parent_lists(draw: st.DrawFn, max_size: int = 10) -> list[int]:
    """Draw the parents of a tree's nodes, the root's first."""
    size = draw(st.integers(1, max_size))
    return [-1, *(draw(st.integers(0, node - 1)) for node in range(1, size))]


@st.composite
def draft_trees(draw: st.DrawFn, vocab: int = VOCAB, max_nodes: int = 10) -> Draft:
    """Draw a draft of one row: any tree, tokens that siblings may share, nodes that do not count.

    Tokens are below ``vocab``; the root is one of ``max_nodes``. Up to two nodes of padding follow
    and look like more of them. The law is DETERMINISTIC. Raises no error of specframe's.
    """
    parents = draw(parent_lists(max_nodes))
    padding = draw(st.integers(0, 2))
    width = len(parents) + padding
    tokens = draw(token_sequences(vocab, min_size=width, max_size=width))
    counts = draw(st.lists(st.sampled_from([True, True, False]), min_size=width, max_size=width))
    return Draft(
        tokens=torch.tensor([tokens]),
        parents=torch.tensor([parents + [0] * padding]),
        sizes=torch.tensor([len(parents)]),
        candidates=torch.tensor([counts]),
    )


def distributions(vocab: int) -> st.SearchStrategy[Probs]:
    """Return distributions over ``vocab`` tokens: smooth, tied, with zeros, or on one token."""
    weights = st.lists(st.sampled_from([0, 1, 1, 2, 5]), min_size=vocab, max_size=vocab)
    smooth = st.lists(st.integers(1, 99), min_size=vocab, max_size=vocab)
    return st.one_of(weights.filter(any), smooth).map(
        lambda masses: [mass / sum(masses) for mass in masses]
    )


@st.composite
def prob_pairs(draw: st.DrawFn, vocab: int = 4) -> tuple[Probs, Probs]:
    """Draw p and q over ``vocab`` tokens: unrelated, the same, one-hot, or with none in common.

    Each is a list of probabilities that sum to 1. Raises no error of specframe's.
    """
    kind = draw(st.sampled_from(["free", "free", "free", "same", "one-hot", "disjoint"]))
    p, q = draw(distributions(vocab)), draw(distributions(vocab))
    if kind == "same":
        return p, p
    if kind == "one-hot":
        return p, one_hot(draw(st.integers(0, vocab - 1)), vocab)
    if kind == "disjoint":
        border = draw(st.integers(1, vocab - 1))
        left, right = draw(distributions(border)), draw(distributions(vocab - border))
        return left + [0.0] * (vocab - border), [0.0] * border + right
    return p, q


def one_hot(token: int, vocab: int) -> Probs:
    """Return the distribution that has nothing but ``token``."""
    return [float(other == token) for other in range(vocab)]


@st.composite
def tiny_models(draw: st.DrawFn, family: str = "llama") -> Any:
    """Draw configs of small transformers models; needs transformers, which takes seconds.

    ``family`` is a ``model_type`` of transformers; what transformers raises for it passes.
    """
    from transformers import AutoConfig  # noqa: PLC0415 (for those who ask for it)

    heads = draw(st.sampled_from([2, 4]))
    return AutoConfig.for_model(
        family,
        vocab_size=draw(st.sampled_from([31, 64])),
        hidden_size=heads * draw(st.sampled_from([8, 16])),
        intermediate_size=draw(st.sampled_from([24, 48])),
        num_hidden_layers=draw(st.integers(3, 4)),
        num_attention_heads=heads,
        num_key_value_heads=draw(st.sampled_from([1, heads])),
        max_position_embeddings=128,
        tie_word_embeddings=draw(st.booleans()),
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )


def oracles() -> st.SearchStrategy[Oracle]:
    """Return targets without files: tables with many ties, and a tiny model of real layers."""
    tables = st.builds(Table, layers=st.integers(2, 3), salt=st.integers(0, 3), width=st.just(8))
    return st.one_of(tables, st.just(TinyModel()))

"""The probe of exact mode finds all that lets a token's bits depend on more than its prefix."""

import attrs
import pytest
import torch

from specframe import ModelError
from specframe._exact.exact_engine import BLOCK
from specframe._exact.exact_probe import PROMPT_TOKENS, admit_exact
from tiny_split import TinyModel


def by_place(split):
    """Give the head a bias that depends on a token's place in the block."""
    places = torch.arange(BLOCK, dtype=torch.float64)[:, None]
    return attrs.evolve(split, head=lambda hidden: split.head(hidden) + 1e-12 * places)


def by_neighbours(split):
    """Let each token's logits depend on the block's other tokens."""

    def head(hidden):
        return split.head(hidden) + 1e-12 * hidden.sum(dim=1, keepdim=True)[..., :1]

    return attrs.evolve(split, head=head)


class Listening:
    """A layer that reads slots beyond all that the probe's chain fills."""

    def __init__(self, layer):
        self.layer = layer

    def __call__(self, hidden, cache, index, shared):
        hidden = self.layer(hidden, cache, index, shared)
        free = range(PROMPT_TOKENS + BLOCK, shared.placement.reach)
        keys, _ = cache.read(index, 0, list(free))
        return hidden + 1e-12 * keys.sum()


def by_masked_slots(split):
    return attrs.evolve(split, layers=[Listening(split.layers[0]), *split.layers[1:]])


class First:
    """Note the passes that begin here."""

    def __init__(self, layer, passes):
        self.layer, self.passes = layer, passes

    def __call__(self, hidden, cache, index, shared):
        self.passes.append(shared)
        return self.layer(hidden, cache, index, shared)


class Last(First):
    """Give other bits in passes that began elsewhere."""

    def __call__(self, hidden, cache, index, shared):
        resumed = shared not in self.passes
        return self.layer(hidden, cache, index, shared) + 1e-12 * resumed


def by_passes(split):
    passes = []
    first, *middle, last = split.layers
    return attrs.evolve(split, layers=[First(first, passes), *middle, Last(last, passes)])


FOUND = [
    (by_place, "standing in a block with others"),
    (by_neighbours, "standing in a block with others"),
    (by_masked_slots, "what masked slots hold"),
    (by_passes, "running the lower layers ahead, token by token,"),
]


@pytest.mark.parametrize(("depends", "found"), FOUND)
def test_the_probe_refuses_bits_that_depend(depends, found):
    engine = TinyModel().engine()
    admit_exact(engine)
    engine._split = depends(engine._split)
    with pytest.raises(ModelError, match=f"in float64 on cpu, {found} changes the bits"):
        admit_exact(engine)


def test_the_refusal_says_what_differs_and_what_to_do():
    engine = TinyModel().engine()
    engine._split = by_neighbours(engine._split)
    with pytest.raises(ModelError) as refused:
        admit_exact(engine)
    assert str(refused.value) == (
        "exact mode is refused: in float64 on cpu, standing in a block with others changes the "
        "bits of a token's logits. Take another dtype (--dtype float32), or decode without --exact"
    )

"""The fingerprint of a base model: the same in every dtype, another for every other model."""

import attrs
import pytest
import torch
from torch import nn

from specframe import fingerprint


@attrs.define
class Config:
    hidden_size: int = 16
    vocab_size: int = 32
    num_hidden_layers: int = 3

    def get_text_config(self):
        return self


class Base(nn.Module):
    def __init__(self, config: Config, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(config.num_hidden_layers))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_fingerprint_does_not_depend_on_the_dtype(dtype):
    base = Base(Config())
    expected = fingerprint(base)
    with torch.no_grad():
        base.embedding.weight *= 1e-3  # near float16's smallest numbers
    assert fingerprint(base.to(dtype)) == expected


def test_fingerprint_tells_weights_and_shapes_apart():
    prints = {
        fingerprint(Base(Config())),
        fingerprint(Base(Config(), seed=1)),
        fingerprint(Base(Config(vocab_size=48))),
    }
    assert len(prints) == 3


def test_fingerprint_sees_one_turned_weight():
    base = Base(Config())
    before = fingerprint(base)
    with torch.no_grad():
        base.layers[-1].weight[0, 0] *= -1
    assert fingerprint(base) != before

"""The engine on a real model: its buffers."""

import pytest
import torch

from specframe import Board
from specframe._loading.loading import Source, load_model
from specframe._plugins.discovery import load_registry


@pytest.mark.models
def test_what_an_earlier_decode_left_behind_poisons_no_later_one(tiny):
    """A masked NaN is no zero: 0 * NaN is NaN."""
    engine = load_model(Source(tiny.model()), load_registry()).engine
    with torch.inference_mode():
        engine.open(2, 20)
        engine.fill(0, [5] * 20)
        for layer in range(engine.num_layers):
            for part in engine.cache.read(layer, 0, list(range(20))):
                assert part.isfinite().all()
            engine.cache._keys[layer].fill_(float("nan"))
            engine.cache._values[layer].fill_(float("nan"))
        engine.open(2, 20)
        engine.fill(0, [5] * 10)
        engine.fill(1, [5] * 4)
        placement = Board(20).spans([10, 4], [1, 1])
        hidden, _ = engine.run(
            engine.embed(torch.tensor([[1], [2]])), placement, 0, engine.num_layers
        )
    assert hidden.isfinite().all()

"""Tiny StarCoder2 models are admitted, and decode as transformers decodes them."""

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

import specframe
from specframe.testing import tiny_models
from specframe_starcoder2._family import Starcoder2Family

WINDOWS = st.sampled_from([None, 5])
COUNT = 20


class Repeat(specframe.SequenceDrafter):
    """Guess what stood there ten tokens ago: sometimes right, and long."""

    def guess(self, tokens, room):
        return tokens[-10:][:4]


def model_of(config, dtype=torch.float64, **changes):
    """Return a model with random weights everywhere, in norms and biases too."""
    for name, value in changes.items():
        setattr(config, name, value)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        noise = torch.randn(weight.shape, generator=generator)
        weight.data = noise * 0.2 if weight.dim() > 1 else weight.data + noise * 0.3
    return model.to(dtype).eval()


def said_by_generate(model, prompt):
    ids = torch.tensor([prompt])
    said = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=COUNT,
        pad_token_id=0,
    )
    return said[0, len(prompt) :].tolist()


@settings(deadline=None, max_examples=8)
@given(tiny_models("starcoder2"), WINDOWS, st.booleans(), st.integers(1, 12))
def test_decoding_says_what_generate_says(config, window, biased, length):
    model = model_of(config, sliding_window=window, use_bias=biased)
    prompt = [(7 * place + 3) % 31 for place in range(length)]
    expected = said_by_generate(model, prompt)
    for strategy in ("none", Repeat()):
        with specframe.load(model, strategy=strategy) as decoder:
            result = decoder.decode(prompt, max_new_tokens=COUNT, eos_token_id=())
        assert result.token_ids == expected, strategy


@settings(deadline=None, max_examples=4)
@given(tiny_models("starcoder2"), WINDOWS)
def test_drafting_with_the_first_layer_changes_nothing(config, window):
    model = model_of(config, sliding_window=window)
    options = {"exit_layer": 1, "threshold": 0.0}
    with specframe.load(model, strategy="early-exit", options=options) as decoder:
        results = decoder.decode([[1, 2, 3], [4]], max_new_tokens=COUNT, eos_token_id=())
    assert [result.token_ids for result in results] == [
        said_by_generate(model, prompt) for prompt in ([1, 2, 3], [4])
    ]


@pytest.fixture
def config():
    return AutoConfig.for_model(
        "starcoder2",
        vocab_size=31,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=None,
        eos_token_id=None,
    )


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_a_folder_is_loaded_with_weights_that_the_engine_owns(config, dtype, tmp_path):
    model = model_of(config, getattr(torch, dtype), sliding_window=6)
    model.save_pretrained(tmp_path)
    with specframe.load(str(tmp_path), strategy="none", dtype=dtype) as decoder:
        said = decoder.decode([1, 2, 3], max_new_tokens=COUNT, eos_token_id=()).token_ids
    assert dtype == "bfloat16" or said == said_by_generate(model, [1, 2, 3])


@pytest.mark.parametrize("change", [{"window": None}, {"feed_norm": lambda states: states}])
def test_the_probe_finds_a_layer_that_does_something_else(config, change, monkeypatch):
    split = Starcoder2Family.split

    def spoilt(self, model, *, owned):
        parts = split(self, model, owned=owned)
        return attrs.evolve(parts, layers=[attrs.evolve(each, **change) for each in parts.layers])

    monkeypatch.setattr(Starcoder2Family, "split", spoilt)
    with pytest.raises(specframe.ModelError, match=r"'starcoder2' of plug-in .* does not fit"):
        specframe.load(model_of(config, sliding_window=5), strategy="none")


def test_positions_that_change_with_the_length_are_refused(config):
    rope = {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 2.0}
    model = model_of(config, rope_parameters=rope)
    with pytest.raises(specframe.ModelError, match="dynamic"):
        specframe.load(model, strategy="none")

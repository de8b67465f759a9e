"""For each family, configuration and draft, the tokens are those of transformers."""

from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import specframe
from configurations import LLAMAS, SLIDING, each
from configured import COUNT, DRAFTS, WAYS, Configured, prompt_of

pytestmark = pytest.mark.models


@pytest.fixture(scope="module", params=each(LLAMAS))
def configured(request, tiny, tmp_path_factory):
    """Return one configuration's models by dtype, and a maker of decoders on them."""
    family, changes = LLAMAS[request.param]
    return Configured(tiny, tmp_path_factory.mktemp("tiny"), family, changes)


# One with windows, one without: the end of a text needs no other configurations.
ENDING = ["llama", "mistral-window", "qwen3-window"]
of_few = pytest.mark.parametrize("configured", ENDING, indirect=True)


@pytest.mark.parametrize("way", WAYS, ids=" in ".join)
def test_plain_decoding_says_what_generate_says(configured, way):
    decoder = configured.plain(way)
    for length in (1, 2, 9):
        result = decoder.decode(prompt_of(length), max_new_tokens=COUNT)
        assert result.token_ids == configured.expected(length, way[1]), f"prompt of {length}"


@pytest.mark.parametrize("way", WAYS, ids=" in ".join)
def test_kangaroo_says_what_generate_says(configured, way):
    accepted = refused = 0
    for exit_layer, threshold, steps, layers, length in DRAFTS[WAYS.index(way) % 2 :: 2]:
        decoder = configured.kangaroo(exit_layer, threshold, steps, layers, way)
        result = decoder.decode(prompt_of(length), max_new_tokens=COUNT)
        assert result.token_ids == configured.expected(length, way[1]), decoder.setup.options
        accepted += result.metrics.num_accepted_draft_tokens
        refused += result.metrics.num_draft_tokens - result.metrics.num_accepted_draft_tokens
    assert accepted > 2
    assert refused > 2


@of_few
@pytest.mark.parametrize("steps", [1, 3, 6])
def test_every_budget_is_used_up_and_no_more(configured, steps):
    decoder = configured.kangaroo(2, 0.0, steps)
    length = 1 + steps % 3
    for budget in range(1, 2 * steps + 3):
        result = decoder.decode(prompt_of(length), max_new_tokens=budget)
        assert result.token_ids == configured.expected(length)[:budget]
        assert result.finish_reason == "length"


@of_few
def test_eos_ends_the_text_wherever_it_falls(configured, tiny):
    decoder = configured.kangaroo(2, 0.0, 5)
    expected = configured.expected(2)
    for eos in dict.fromkeys(expected):
        result = decoder.decode(prompt_of(2), max_new_tokens=COUNT, eos_token_id=eos)
        assert result.token_ids == expected[: expected.index(eos) + 1]
        assert result.finish_reason == "eos"
    model = configured.models["float64"]
    assert tiny.generate(model, prompt_of(2), COUNT, eos) == result.token_ids


def test_one_decoder_serves_prompts_of_all_lengths_after_one_another(configured):
    decoder = configured.kangaroo(1, 0.6, 4)
    for length in (30, 1, 9, 14, 2):
        result = decoder.decode(prompt_of(length), max_new_tokens=COUNT)
        assert result.token_ids == configured.expected(length)


@pytest.mark.parametrize("chunk", [1, 5])
def test_a_prompt_read_in_chunks_gives_the_same_text(configured, chunk, monkeypatch):
    monkeypatch.setattr("specframe._engine.engine.PREFILL_CHUNK", chunk)
    for decoder in (configured.plain(), configured.kangaroo(2, 0.6, 4)):
        for length in (14, 30):
            result = decoder.decode(prompt_of(length), max_new_tokens=COUNT)
            assert result.token_ids == configured.expected(length)


@st.composite
def configurations(draw):
    """Draw a family and dimensions that transformers accepts for it."""
    kv_heads, groups = draw(st.sampled_from([(1, 1), (1, 4), (2, 1), (2, 2), (3, 1)]))
    head_dim = 2 * draw(st.integers(2, 6))
    changes = {
        "num_attention_heads": kv_heads * groups,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "hidden_size": kv_heads * groups * head_dim,
        "intermediate_size": draw(st.integers(9, 40)),
        "num_hidden_layers": draw(st.integers(2, 4)),
        "vocab_size": draw(st.integers(59, 67)),
        "tie_word_embeddings": draw(st.booleans()),
    }
    family = draw(st.sampled_from(["llama", "mistral", "qwen2", "qwen3"]))
    window = draw(st.none() | st.integers(2, 20))
    if family == "llama":
        changes |= {"attention_bias": draw(st.booleans()), "mlp_bias": draw(st.booleans())}
    elif family == "mistral":
        changes["sliding_window"] = window
    elif window is not None:
        first = draw(st.integers(0, changes["num_hidden_layers"]))
        changes |= SLIDING | {"sliding_window": window, "max_window_layers": first}
    if family == "qwen3":
        changes["head_dim"] = 2 * draw(st.integers(2, 10))
    return family, changes


@contextmanager
def drawn(tiny, folder, draw):
    family, changes = draw(configurations())
    model = tiny.model(family, dtype="float64", seed=draw(st.integers(0, 99)), **changes)
    exit_layer = draw(st.integers(1, changes["num_hidden_layers"] - 1))
    options = {
        "adapter": tiny.adapter(folder, model, layers=draw(st.integers(1, 2))),
        "exit_layer": exit_layer,
        "threshold": draw(st.sampled_from([0.0, 0.3, 0.6, 1.1])),
        "steps": draw(st.integers(1, 8)),
    }
    with specframe.load(model, options=options) as decoder:
        yield model, decoder


def test_any_configuration_says_what_generate_says(tiny, tmp_path):
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data):
        with drawn(tiny, tmp_path, data.draw) as (model, decoder):
            prompt = data.draw(st.lists(st.integers(0, 58), min_size=1, max_size=25))
            budget = data.draw(st.integers(1, 24))
            result = decoder.decode(prompt, max_new_tokens=budget)
            assert result.token_ids == tiny.generate(model, prompt, budget)

    check()


def test_rounding_in_the_float32_parts_of_a_float64_model_is_no_other_architecture(tiny):
    """Found by the property above: of four numbers, the norm's rounding shows as 1.04e-5."""
    narrow = {"num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 4, "hidden_size": 4}
    rest = {"intermediate_size": 34, "num_hidden_layers": 4, "vocab_size": 65, "mlp_bias": True}
    model = tiny.model("llama", dtype="float64", seed=80, **narrow, **rest)
    result = specframe.load(model, strategy="none").decode([1, 2, 3], max_new_tokens=8)
    assert result.token_ids == tiny.generate(model, [1, 2, 3], 8)

"""Gemma, Phi-3, OLMo 2, GPT-2, GPT-NeoX, Mixtral, Granite: the tokens are those of transformers.

No multiplier, cap or window has a value that would hide its absence; prompts and texts are longer
than the windows.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import specframe
from configurations import MIXED, MULTIPLIERS, OTHERS, each, rope
from configured import COUNT, DRAFTS, WAYS, Configured, prompt_of

pytestmark = pytest.mark.models


@pytest.fixture(scope="module", params=each(OTHERS))
def configured(request, tiny, tmp_path_factory):
    """Return one configuration's models by dtype, and a maker of decoders on them."""
    family, changes = OTHERS[request.param]
    return Configured(tiny, tmp_path_factory.mktemp("tiny"), family, changes)


@pytest.mark.parametrize("way", WAYS, ids=" in ".join)
def test_plain_decoding_says_what_generate_says(configured, way):
    decoder = configured.plain(way)
    for length in (1, 9, 30):
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


@pytest.mark.parametrize("chunk", [1, 5])
def test_a_prompt_read_in_chunks_gives_the_same_text(configured, chunk, monkeypatch):
    monkeypatch.setattr("specframe._engine.engine.PREFILL_CHUNK", chunk)
    decoder = configured.kangaroo(2, 0.6, 4)
    for length in (14, 30, 2):
        result = decoder.decode(prompt_of(length), max_new_tokens=COUNT)
        assert result.token_ids == configured.expected(length)


@pytest.mark.parametrize("length", [2, 12])
def test_every_node_of_a_tree_scores_what_its_path_alone_does(configured, length):
    """Two rows, scattered slots, branches that cross the window."""
    import torch

    model = configured.models["float64"]
    engine = configured.plain()._target.engine
    prompts = [prompt_of(length), prompt_of(length + 3)[::-1]]
    parents = [[-1, 0, 0, 1, 2, 2, 3, 6, 7], [-1, 0, 1, 0, 3, 4]]
    tokens = torch.tensor([[5, 9, 2, 40, 9, 33, 17, 8, 50], [1, 2, 3, 4, 5, 6, 0, 0, 0]])
    slots = [[len(prompt) + 2 * node for node in range(9)] for prompt in prompts]
    slots[1] = slots[1][:1] + slots[1][5:0:-1]
    with torch.inference_mode():
        engine.open(2, 40)
        for row, prompt in enumerate(prompts):
            engine.fill(row, prompt)
        placement = specframe.Board(40).trees(list(map(len, prompts)), parents, slots)
        hidden, _ = engine.run(engine.embed(tokens), placement, 0, engine.num_layers)
        logits = engine.logits(engine.norm(hidden))
        for row, above in enumerate(parents):
            for node in range(len(above)):
                chain = prompts[row] + [tokens[row, step].item() for step in path(above, node)]
                expected = model(torch.tensor([chain])).logits[0, -1]
                torch.testing.assert_close(logits[row, node], expected, rtol=0, atol=1e-5)


def path(parents, node):
    return [] if node < 0 else [*path(parents, parents[node]), node]


@st.composite
def changes_of(draw, family):
    """Draw dimensions that transformers accepts for a family."""
    kv_heads, groups = draw(st.sampled_from([(1, 1), (1, 4), (2, 1), (2, 2), (3, 1)]))
    head_dim, layers = 4 * draw(st.integers(1, 3)), draw(st.integers(2, 4))
    kinds = st.sampled_from(MIXED[:2])
    changes = {
        "num_attention_heads": kv_heads * groups,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "hidden_size": kv_heads * groups * head_dim,
        "intermediate_size": draw(st.integers(9, 40)),
        "num_hidden_layers": layers,
        "vocab_size": draw(st.integers(59, 67)),
        "tie_word_embeddings": draw(st.booleans()),
        "query_pre_attn_scalar": draw(st.integers(1, 9)),
        "attn_logit_softcapping": draw(st.sampled_from([None, 0.5, 3.0])),
        "final_logit_softcapping": draw(st.sampled_from([None, 2.0])),
        "use_parallel_residual": draw(st.booleans()),
        "num_local_experts": draw(st.integers(2, 5)),
    }
    # Where a config has windows that the model ignores, generate's cache drops what it needs.
    if family in {"gemma2", "gemma3_text", "mixtral", "phi3"}:
        changes["sliding_window"] = draw(st.integers(2, 20))
    if family in {"gemma2", "gemma3_text"}:
        changes["layer_types"] = draw(st.lists(kinds, min_size=layers, max_size=layers))
    changes |= {name: draw(st.sampled_from([0.3, 1.0, 2.0])) for name in MULTIPLIERS}
    if family in {"phi3", "gpt_neox"}:
        changes |= rope(partial_rotary_factor=draw(st.sampled_from([0.5, 1.0])))
    return changes


@pytest.mark.parametrize("family", sorted({family for family, _ in OTHERS.values()}))
def test_any_configuration_says_what_generate_says(tiny, tmp_path, family):
    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data):
        changes = data.draw(changes_of(family))
        model = tiny.model(family, dtype="float64", seed=data.draw(st.integers(0, 99)), **changes)
        options = {
            "adapter": tiny.adapter(tmp_path, model),
            "exit_layer": data.draw(st.integers(1, changes["num_hidden_layers"] - 1)),
            "threshold": data.draw(st.sampled_from([0.0, 0.6])),
            "steps": data.draw(st.integers(1, 8)),
        }
        prompt = data.draw(st.lists(st.integers(0, 58), min_size=1, max_size=25))
        result = specframe.load(model, options=options).decode(prompt, max_new_tokens=24)
        assert result.token_ids == tiny.generate(model, prompt, 24)

    check()

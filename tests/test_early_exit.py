"""The early exit: what the first layers, norm and head say is drafted, and nothing is kept."""

import copy

import pytest

import specframe
from specframe import InputError, OptionError, Sampler, Stops, Target, leave
from specframe.testing import Table
from specframe.testing._rows import make_rows

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("tiny")]
PROMPT = [3, 14, 15, 9, 26, 5]
PROMPTS = [PROMPT, [8], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [40, 2]]
FAMILIES = {
    "llama": {},
    "mistral": {"sliding_window": 7},
    "gemma2": {"final_logit_softcapping": 4.0, "sliding_window": 7},
    "gpt2": {},
}


def load(model, exit_layer=2, **arguments):
    options = {"exit_layer": exit_layer, "steps": 5, "threshold": 0.0} | arguments.pop(
        "options", {}
    )
    return specframe.load(model, strategy="early-exit", options=options, **arguments)


def cut_off(model, layers):
    """Return a model of transformers' own that ends after ``layers`` layers."""
    short = copy.deepcopy(model)
    body = getattr(short, short.base_model_prefix)
    name = "h" if hasattr(body, "h") else "layers"
    setattr(body, name, getattr(body, name)[:layers])
    short.config.num_hidden_layers = layers
    return short


def beliefs(model, tokens):
    import torch

    with torch.inference_mode():
        return model(torch.tensor([tokens]), use_cache=False).logits[0, -1].softmax(-1)


@pytest.mark.parametrize("exit_layer", [1, 2, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_early_exit_decodes_what_generate_does(tiny, family, exit_layer):
    model = tiny.model(family, dtype="float64", **FAMILIES[family])
    decoder = load(model, exit_layer)
    for count in (1, 2, 3, 30):
        result = decoder.decode(PROMPT, max_new_tokens=count)
        assert result.token_ids == tiny.generate(model, PROMPT, count)
    assert result.metrics.num_accepted_draft_tokens > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_drafts_are_what_the_model_cut_off_at_the_exit_says(tiny, family):
    model = tiny.model(family, dtype="float64", **FAMILIES[family])
    oracle = cut_off(model, 2)
    rounds = load(model).stream(PROMPT, max_new_tokens=20)
    text = list(PROMPT)
    for round in rounds:
        path = []
        for token, confidence in zip(
            round.draft_tokens, round.draft_confidences or (), strict=True
        ):
            said = beliefs(oracle, text + path)
            assert token == int(said.argmax())
            assert confidence == pytest.approx(float(said.max()), rel=1e-5)
            path.append(token)
        text += round.committed


def test_an_exit_after_all_that_matters_is_always_right(tiny):
    model = tiny.model(dtype="float64")
    for layer in model.model.layers[1:]:
        layer.self_attn.o_proj.weight.data.zero_()
        layer.mlp.down_proj.weight.data.zero_()
    for settings in ({}, {"temperature": 1.0, "seed": 5}):
        result = load(model, 1).decode(PROMPT, max_new_tokens=37, **settings)
        assert [round.accepted for round in result.rounds] == [5] * 6


@pytest.mark.parametrize("threshold", [0.2, 1.1])
def test_drafting_stops_after_an_unsure_token(tiny, threshold):
    model = tiny.model(dtype="float64")
    rounds = load(model, options={"threshold": threshold}).decode(PROMPT, max_new_tokens=24).rounds
    for round in rounds[:-3]:  # later, the budget may end a draft
        *sure, last = round.draft_confidences
        assert all(confidence >= threshold for confidence in sure)
        assert last < threshold or len(sure) == 4
    assert len({len(round.draft_tokens) for round in rounds[:-3]}) > 1 or threshold > 1


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.8, "seed": 7}])
def test_rows_of_a_batch_go_as_they_go_alone(tiny, settings):
    decoder = load(tiny.model(dtype="float64"), options={"threshold": 0.2})
    limits = [12, 20, 7, 16]
    together = decoder.decode(PROMPTS, max_new_tokens=limits, **settings)
    assert len({tuple(r.accepted for r in result.rounds) for result in together}) > 1
    for prompt, limit, ours in zip(PROMPTS, limits, together, strict=True):
        alone = decoder.decode(prompt, max_new_tokens=limit, **settings)
        assert ours.token_ids == alone.token_ids
        assert [r.draft_tokens for r in ours.rounds] == [r.draft_tokens for r in alone.rounds]


@pytest.mark.parametrize("settings", [{"temperature": 0.7}, {"temperature": 1.2, "top_k": 9}])
def test_a_sampled_text_is_plain_samplings(tiny, settings):
    decoder = load(tiny.model(dtype="float64"))
    result = decoder.decode(PROMPT, seed=3, max_new_tokens=24, **settings)
    plain = decoder.plain().decode(PROMPT, seed=3, max_new_tokens=24, **settings)
    assert result.token_ids == plain.token_ids
    assert result.metrics.num_accepted_draft_tokens > 0


def test_rejection_gets_the_distribution_that_was_drawn_from(tiny):
    decoder = load(tiny.model(dtype="float64"), verifier="rejection")
    result = decoder.decode(PROMPT, max_new_tokens=24, temperature=0.9, seed=2, top_k=8)
    assert len(result.token_ids) == 24
    assert result.metrics.num_accepted_draft_tokens > 0


@pytest.mark.parametrize("limits", [[4], [0, 3], [1, 0, 2]])
def test_each_layer_sees_each_token_of_a_draft_once(limits):
    """What the shallow layers made is verified from there: no run starts below the exit twice."""
    from specframe.testing._manual_decoding import ScriptedLimits
    from specframe_early_exit import EarlyExitOptions
    from specframe_early_exit._drafter import EarlyExitDrafter

    engine = Table(layers=3, width=8).engine()
    target, stop = Target(engine), ScriptedLimits(limits)
    drafter = EarlyExitDrafter(EarlyExitOptions(exit_layer=2))
    drafter.prepare(target)
    rows, sampler = make_rows([[1, 2, 3]], Stops(30, 1000), 0), Sampler()
    drafter.start(target, rows, target.prefill(rows, sampler, drafter.needs))
    for _ in range(4):
        assert leave(rows, target, drafter, stop, sampler)
        engine.calls.clear()
        draft = drafter.propose(rows, stop, sampler)
        scores = target.score(rows, draft)
        nodes = draft.size_list[0]
        assert engine.calls == [(0, 2)] * nodes + [(2, 3)]
        verdict = verdict_of(draft, scores)
        target.commit(rows, draft, verdict)


def verdict_of(draft, scores):
    from specframe import Verdict

    return Verdict([list(range(1, draft.size_list[0]))], [1], scores.best[1])


def test_exact_mode_keeps_the_bits_of_plain_decoding(tiny):
    import torch

    model = tiny.model(dtype="bfloat16")
    decoder = load(model, exact=True)
    for prompt in PROMPTS:
        ours = decoder.decode(prompt, max_new_tokens=24, output_logits=True)
        plain = decoder.plain().decode(prompt, max_new_tokens=24, output_logits=True)
        assert ours.token_ids == plain.token_ids
        assert torch.equal(ours.logits, plain.logits)
        assert ours.metrics.num_draft_tokens > 0


@pytest.mark.parametrize("exit_layer", [4, 9])
def test_an_exit_with_nothing_after_it_is_refused(tiny, exit_layer):
    with pytest.raises(OptionError, match=f"'exit_layer' .* below .* layers, 4, got {exit_layer}$"):
        load(tiny.model(), exit_layer)


def test_a_missing_exit_layer_is_asked_for_before_a_model_is_read():
    with pytest.raises(OptionError, match="'early-exit' needs option 'exit_layer': target layers"):
        specframe.load("/nowhere", strategy="early-exit")


def test_a_policy_may_read_all_that_a_step_shows(tiny):
    from specframe import StopPolicy

    class Curious(StopPolicy):
        reads = frozenset({"confidence", "probs", "entropy", "hidden"})

        def after(self, step):
            assert step.hidden.shape == (1, 32)
            return step.entropy > step.hidden.abs().sum() * 100

    assert load(tiny.model(), stop_policy=Curious()).decode(PROMPT, max_new_tokens=9).rounds
    with pytest.raises(InputError, match="does not show"):
        specframe.load(tiny.model(), strategy="none", stop_policy=Curious())


def test_an_interrupted_decode_leaves_the_model_whole(tiny):
    """transformers shortens the shared config while it drafts; an interrupt leaves it short."""
    model = tiny.model(dtype="float64")
    before = model.config.to_dict()
    stream = load(model).stream(PROMPT, max_new_tokens=20)
    next(stream)
    next(stream)
    assert model.config.to_dict() == before
    stream.close()
    assert model.config.to_dict() == before
    assert len(model.model.layers) == 4


def test_transformers_early_exit_says_the_same(tiny):
    import torch

    model = tiny.model(dtype="float64")
    model.generation_config.num_assistant_tokens = 5
    model.generation_config.num_assistant_tokens_schedule = "constant"
    model.generation_config.assistant_confidence_threshold = 0.0
    ids = torch.tensor([PROMPT])
    theirs = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        assistant_early_exit=2,
        do_sample=False,
        max_new_tokens=30,
        pad_token_id=0,
    )
    ours = load(model).decode(PROMPT, max_new_tokens=30)
    assert ours.token_ids == theirs[0, len(PROMPT) :].tolist()

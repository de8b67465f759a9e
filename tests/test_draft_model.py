"""Drafting with a model: its cache is that of a fresh prefill, however much was accepted."""

import json
import shutil

import pytest

import specframe
from specframe import ModelError, OptionError, Sampler
from specframe import rounds as loop
from specframe.testing._manual_decoding import ScriptedLimits
from specframe.testing._rows import make_rows

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("tiny")]
PROMPT = [3, 14, 15, 9, 26, 5]
PROMPTS = [PROMPT, [8], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [40, 2]]
FAMILIES = {"llama": {}, "mistral": {"sliding_window": 7}, "gpt2": {}, "gemma2": {}}


def load(model, draft, **arguments):
    options = {"model": str(draft), "steps": 4} | arguments.pop("options", {})
    return specframe.load(model, strategy="draft-model", options=options, **arguments)


def near(tiny, model, layers=2):
    """Return a model that often says what ``model`` says: its first layers."""
    short = tiny.model(dtype="float64", num_hidden_layers=layers)
    short.load_state_dict(model.state_dict(), strict=False)
    return short


@pytest.fixture
def target(tiny):
    return tiny.model(dtype="float64")


@pytest.fixture
def draft(tiny, target, tmp_path):
    return tiny.saved(tmp_path / "draft", near(tiny, target))


def expect_fresh_cache(model, texts):
    """Compare each row's cache of committed tokens with a prefill of them."""
    import torch

    for row, (text, held) in enumerate(zip(texts, model.held, strict=True)):
        fresh = model.engine.twin()
        with torch.inference_mode():
            fresh.open(1, len(text))
            fresh.fill(0, text[:held])
        ours = cells(model.engine, row, held)
        torch.testing.assert_close(ours, cells(fresh, 0, held), atol=1e-9, rtol=0)


def cells(engine, row, count):
    slots = list(range(count))
    layers = range(engine.num_layers)
    return [part for layer in layers for part in engine.cache.read(layer, row, slots)]


@pytest.mark.parametrize("family", FAMILIES)
def test_any_model_drafts_and_generates_word_stays(tiny, target, tmp_path, family):
    draft = tiny.saved(
        tmp_path, tiny.model(family, seed=4, num_hidden_layers=2, **FAMILIES[family])
    )
    decoder = load(target, draft)
    for count in (1, 2, 3, 30):
        result = decoder.decode(PROMPT, max_new_tokens=count)
        assert result.token_ids == tiny.generate(target, PROMPT, count)
        drafted = [len(round.draft_tokens) for round in result.rounds]
        assert all(length == 4 for length in drafted[:-4])


@pytest.mark.parametrize("limits", [[4], [1], [0, 0, 0, 3], [2, 0, 5]])
def test_after_every_round_the_cache_is_that_of_a_fresh_prefill(target, draft, limits):
    decoder = load(target, draft, stop_policy=ScriptedLimits(limits))
    model, text, lags = decoder.drafter._model, list(PROMPT), set()
    for round in decoder.stream(PROMPT, max_new_tokens=40):
        text += round.committed
        expect_fresh_cache(model, [text])
        if round.draft_tokens:
            is_full = round.accepted == len(round.draft_tokens)
            assert len(text) - model.held[0] == 1 + is_full
            lags.add(is_full)
    assert lags == {False, True}


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7}])
def test_rows_of_a_batch_catch_up_each_by_itself(target, draft, settings):
    """Rows accept and lag differently, and leave one after another."""
    import torch

    stop = ScriptedLimits([4, 1, 0, 3])
    decoder = load(target, draft, stop_policy=stop)
    model = decoder.drafter._model
    stops = [specframe.Stops(budget, 1000) for budget in (12, 20, 7, 33)]
    rows = make_rows(PROMPTS, stops, 5)
    sampler = Sampler(specframe.Sampling(**settings))
    verifier = decoder._parts.verifier.at(settings.get("temperature", 0.0)).verifier
    lags = set()
    with torch.inference_mode():
        for _ in loop(decoder.target, decoder.drafter, verifier, stop, sampler, rows):
            texts = [row.tokens for row in rows.active]
            expect_fresh_cache(model, texts)
            lags.add(tuple(len(text) - held for text, held in zip(texts, model.held, strict=True)))
    assert any(len(set(lag)) > 1 for lag in lags)
    assert {len(lag) for lag in lags} >= {2, 3, 4}


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.8, "seed": 7}])
def test_rows_of_a_batch_go_as_they_go_alone(target, draft, settings):
    decoder = load(target, draft, options={"threshold": 0.2})
    limits = [12, 20, 7, 16]
    together = decoder.decode(PROMPTS, max_new_tokens=limits, **settings)
    assert len({tuple(r.accepted for r in result.rounds) for result in together}) > 1
    for prompt, limit, ours in zip(PROMPTS, limits, together, strict=True):
        alone = decoder.decode(prompt, max_new_tokens=limit, **settings)
        assert ours.token_ids == alone.token_ids
        assert [r.draft_tokens for r in ours.rounds] == [r.draft_tokens for r in alone.rounds]


@pytest.mark.parametrize("settings", [{"temperature": 0.7}, {"temperature": 1.2, "top_k": 9}])
def test_a_sampled_text_is_plain_samplings(target, draft, settings):
    decoder = load(target, draft)
    result = decoder.decode(PROMPT, seed=3, max_new_tokens=24, **settings)
    plain = decoder.plain().decode(PROMPT, seed=3, max_new_tokens=24, **settings)
    assert result.token_ids == plain.token_ids
    assert result.metrics.num_accepted_draft_tokens > 0


@pytest.mark.parametrize(
    ("settings", "verifier"),
    [
        ({}, None),
        ({"temperature": 1.0}, "match"),
        ({"temperature": 0.7, "top_p": 0.9, "repetition_penalty": 1.2}, "match"),
        ({"temperature": 0.7, "top_p": 0.9, "repetition_penalty": 1.2}, "rejection"),
    ],
    ids=str,
)
def test_the_target_accepts_all_that_it_drafts_itself(tiny, target, tmp_path, settings, verifier):
    decoder = load(target, tiny.saved(tmp_path, target), verifier=verifier)
    result = decoder.decode(PROMPT, max_new_tokens=41, seed=5, **settings)
    assert [round.accepted for round in result.rounds] == [4] * 8
    assert result.metrics.draft_acceptance_rate == 1.0


@pytest.mark.parametrize(("ours", "theirs"), [(61, 64), (64, 61)])
@pytest.mark.parametrize(
    ("settings", "verifier"),
    [({}, None), ({"temperature": 0.9, "top_k": 50}, "match"), ({"temperature": 0.9}, "rejection")],
    ids=str,
)
def test_padding_of_a_vocabulary_is_never_drafted(tiny, tmp_path, ours, theirs, settings, verifier):
    """The padded head prefers its padding to every token, and still nothing is refused."""
    models = {size: resized(tiny, size) for size in (ours, theirs)}
    decoder = load(models[ours], tiny.saved(tmp_path, models[theirs]), verifier=verifier)
    result = decoder.decode(PROMPT, max_new_tokens=31, seed=1, **settings)
    assert len(result.token_ids) == 31
    assert max(token for r in result.rounds for token in r.draft_tokens) < 61
    if ours == 61:
        assert result.metrics.draft_acceptance_rate == 1.0


def test_a_prompt_may_hold_tokens_that_the_draft_model_lacks(tiny, tmp_path):
    target = resized(tiny, 64)
    decoder = load(target, tiny.saved(tmp_path, resized(tiny, 61)))
    prompts = [[63], [3, 61, 62, 9], PROMPT]
    for prompt, result in zip(prompts, decoder.decode(prompts, max_new_tokens=9), strict=True):
        assert result.token_ids == tiny.generate(target, prompt, 9)


def test_what_a_draft_model_lacks_has_no_probability(tiny, tmp_path):
    class Watching(specframe.StopPolicy):
        levels = 0

        def after(self, step):
            assert step.probs.shape == (1, 64)
            assert step.probs[:, 61:].tolist() == [[0.0, 0.0, 0.0]]
            Watching.levels += 1

    draft = tiny.saved(tmp_path, resized(tiny, 61))
    load(resized(tiny, 64), draft, stop_policy=Watching()).decode(PROMPT, max_new_tokens=12)
    assert Watching.levels > 0


def resized(tiny, size):
    """Return the model of 61 tokens with a head of ``size`` rows; it prefers the rows beyond 61."""
    import torch

    model = tiny.model(dtype="float64", tie_word_embeddings=False)
    if size > 61:
        model.resize_token_embeddings(size, mean_resizing=False)
        head = model.lm_head.weight.data
        head[61:] = head[:61].abs().max() * torch.ones(size - 61, head.shape[1])
    return model


def test_a_model_reads_no_more_than_its_context(tiny, target, tmp_path):
    for family in ("gpt2", "llama"):
        small = tiny.model(family, seed=4, num_hidden_layers=2, max_position_embeddings=16)
        decoder = load(target, tiny.saved(tmp_path / family, small))
        for prompt in (PROMPT, PROMPTS[2] + [5, 6, 7, 8], PROMPTS[2] * 2):
            result = decoder.decode(prompt, max_new_tokens=20)
            assert result.token_ids == tiny.generate(target, prompt, 20)
            at = len(prompt) + 1
            for round in result.rounds[:-4]:
                assert len(round.draft_tokens) == max(0, min(4, 16 - at + 1))
                at += len(round.committed)
        together = decoder.decode([PROMPT, PROMPTS[2] * 2], max_new_tokens=20)
        assert together[1].token_ids == result.token_ids


def test_without_a_threshold_no_draft_stops_early(target, draft):
    rounds = load(target, draft).decode(PROMPT, max_new_tokens=40).rounds
    assert {len(round.draft_tokens) for round in rounds[:-4]} == {4}
    assert min(min(round.draft_confidences) for round in rounds[:-4]) < 0.5


def test_with_a_threshold_drafts_stop_after_an_unsure_token(target, draft):
    decoder = load(target, draft, options={"threshold": 0.4})
    rounds = decoder.decode(PROMPT, max_new_tokens=40).rounds
    for round in rounds[:-4]:
        *sure, last = round.draft_confidences
        assert all(confidence >= 0.4 for confidence in sure)
        assert last < 0.4 or len(sure) == 3
    assert len({len(round.draft_tokens) for round in rounds[:-4]}) > 1


def test_a_second_decode_drafts_as_the_first_did(target, draft):
    """transformers keeps the length of drafts and a threshold tuned by earlier texts."""
    decoder = load(target, draft)
    first = decoder.decode(PROMPT, max_new_tokens=20)
    decoder.decode(PROMPTS[2], max_new_tokens=20)
    again = decoder.decode(PROMPT, max_new_tokens=20)
    assert [r.draft_tokens for r in again.rounds] == [r.draft_tokens for r in first.rounds]


@pytest.mark.parametrize("is_same", [False, True])
def test_exact_mode_keeps_the_bits_of_plain_decoding(tiny, tmp_path, is_same):
    import torch

    model = tiny.model(dtype="bfloat16")
    draft = tiny.saved(tmp_path, model if is_same else tiny.model(seed=3, num_hidden_layers=1))
    decoder = load(model, draft, exact=True)
    for ours, prompt in zip(
        decoder.decode(PROMPTS, max_new_tokens=24, output_logits=True), PROMPTS, strict=True
    ):
        plain = decoder.plain().decode(prompt, max_new_tokens=24, output_logits=True)
        assert ours.token_ids == plain.token_ids
        assert torch.equal(ours.logits, plain.logits)
        assert ours.metrics.num_draft_tokens > 0


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_the_draft_model_has_the_targets_dtype(tiny, draft, tmp_path, dtype):
    named = tiny.saved(tmp_path / "target", tiny.model())
    assert str(load(named, draft, dtype=dtype).drafter._model.engine.dtype) == f"torch.{dtype}"
    handed_over = tiny.model(dtype=dtype)
    assert str(load(handed_over, draft).drafter._model.engine.dtype) == f"torch.{dtype}"
    assert str(load(named, draft).drafter._model.engine.dtype) == "torch.float32"


def test_transformers_assisted_generation_says_the_same(target, draft):
    import torch
    from transformers import AutoModelForCausalLM

    assistant = AutoModelForCausalLM.from_pretrained(draft, dtype=torch.float64)
    assistant.generation_config.num_assistant_tokens = 4
    assistant.generation_config.num_assistant_tokens_schedule = "constant"
    assistant.generation_config.assistant_confidence_threshold = 0.0
    decoder = load(target, draft)
    for prompt in PROMPTS:
        ids = torch.tensor([prompt])
        theirs = target.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            assistant_model=assistant,
            do_sample=False,
            max_new_tokens=30,
            pad_token_id=0,
        )
        assert (
            decoder.decode(prompt, max_new_tokens=30).token_ids == theirs[0, len(prompt) :].tolist()
        )


def test_a_missing_option_is_asked_for_before_a_model_is_read():
    with pytest.raises(OptionError, match="'draft-model' needs option 'model': folder or hub id"):
        specframe.load("/nowhere", strategy="draft-model")


def test_a_missing_model_is_named(target, tmp_path):
    with pytest.raises(ModelError, match=r"there is no model folder '\./nowhere'"):
        load(target, "./nowhere")
    with pytest.raises(ModelError, match="is no model folder: it has no"):
        load(target, tmp_path)


def test_vocabularies_of_other_sizes_are_refused_where_no_tokenizer_speaks(tiny, target, tmp_path):
    other = tiny.saved(tmp_path, tiny.model(vocab_size=61 + 513))
    with pytest.raises(ModelError, match="574 and 61 tokens, which is more than padding explains"):
        load(target, other)


def speaking(folder, words):
    """Save a tokenizer of ``words`` beside a model; return the folder."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    vocab = {word: place for place, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=words[0]))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return folder


WORDS = [f"w{number}" for number in range(61)]


def test_another_tokenizer_is_refused_with_the_first_word_that_differs(tiny, target, tmp_path):
    ours = speaking(tiny.saved(tmp_path / "ours", target), WORDS)
    swapped = [*WORDS[:7], WORDS[8], WORDS[7], *WORDS[9:]]
    theirs = speaking(tiny.saved(tmp_path / "theirs", target), swapped)
    with pytest.raises(
        ModelError,
        match=r"theirs' cannot draft for '.*ours': token 7 is 'w8' to the one and 'w7' to the "
        r"other, so take a model with the tokenizer of '.*ours'$",
    ):
        load(ours, theirs)


@pytest.mark.parametrize("count", [58, 61, 70])
def test_some_tokens_more_at_the_end_are_the_same_tokenizer(tiny, target, tmp_path, count):
    ours = speaking(tiny.saved(tmp_path / "ours", target), WORDS)
    more = tiny.model(vocab_size=max(count, 61))
    words = [f"w{number}" for number in range(count)]
    theirs = speaking(tiny.saved(tmp_path / "theirs", more), words)
    decoder = load(ours, theirs)
    result = decoder.decode(PROMPT, max_new_tokens=12)
    assert result.token_ids == decoder.plain().decode(PROMPT, max_new_tokens=12).token_ids


@pytest.mark.parametrize("trusts_the_target", [False, True])
def test_code_of_a_draft_model_is_run_by_its_own_option_alone(
    target, draft, tmp_path, monkeypatch, trusts_the_target
):
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "code")
    )
    folder, ran = tmp_path / "coded", tmp_path / "ran"
    shutil.copytree(draft, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "coded", "auto_map": {"AutoConfig": "code.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(ran)!r}, 'w').close()\nraise ValueError('ran')\n")
    with pytest.raises(ModelError, match="coded' cannot be loaded"):
        load(target, folder, trust_remote_code=trusts_the_target)
    assert not ran.exists()
    with pytest.raises(ModelError, match=r"coded' cannot be loaded .* ran"):
        load(target, folder, options={"trust_remote_code": True})
    assert ran.exists()


def test_a_target_that_nobody_loaded_opens_no_model():
    from specframe import InputError, Target
    from specframe.testing import Table

    with pytest.raises(InputError, match="'small' needs a target that was loaded"):
        Target(Table().engine()).open("small")

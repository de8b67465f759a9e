"""Penalties, processors and filters as transformers has them, on real models."""

import itertools

import pytest

import specframe
from specframe import InputError, Sampling

pytestmark = pytest.mark.models
PROMPT = [3, 14, 15, 9, 26, 5]
VOCAB, EOS = 61, 7
FILTERS = [
    {},
    {"temperature": 0.7},
    {"temperature": 1.3, "top_k": 5},
    {"temperature": 0.9, "top_p": 0.8},
    {"temperature": 1.0, "min_p": 0.1},
    {"temperature": 0.6, "top_k": 20, "top_p": 0.9, "min_p": 0.05},
    {"temperature": 0.8, "repetition_penalty": 1.3},
    {"temperature": 1.1, "top_k": 7, "top_p": 0.7, "min_p": 0.2, "repetition_penalty": 0.8},
    {"temperature": 0.5, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0},
    {"temperature": 0.5, "top_k": 1000, "top_p": 1e-9, "min_p": 1.0},
]


@pytest.fixture(scope="module", params=["float32", "float64"])
def model(request, tiny):
    return tiny.model(dtype=request.param, seed=3)


@pytest.fixture(scope="module")
def adapter(tiny, tmp_path_factory):
    return tiny.adapter(tmp_path_factory.mktemp("adapter"), tiny.model(seed=3), exit_layer=2)


@pytest.fixture(scope="module")
def decoders(model, adapter):
    """Return plain decoding, and Kangaroo with long and short drafts."""
    options = [{"adapter": adapter, "threshold": t, "steps": n} for t, n in ((0.0, 5), (0.3, 3))]
    fast = [specframe.load(model, options=each) for each in options]
    return [specframe.load(model, strategy="none"), *fast]


def last_again(ids, scores):
    """Favour the token before the last, as a user's own function."""
    scores = scores.clone()
    scores[:, ids[0, -2]] += 2.5
    return scores


def theirs(model, custom=(), **settings):
    """Return the processors that generate builds for these settings, in its order."""
    from transformers import GenerationConfig, LogitsProcessorList

    settings = {"temperature": 1.0, "top_k": 0} | settings
    config = GenerationConfig(do_sample=True, **settings)
    return model._get_logits_processor(
        generation_config=config,
        input_ids_seq_length=len(PROMPT),
        logits_processor=LogitsProcessorList(custom),
    )


def customs():
    from transformers import (
        NoRepeatNGramLogitsProcessor,
        RepetitionPenaltyLogitsProcessor,
        SuppressTokensLogitsProcessor,
        TemperatureLogitsWarper,
    )

    return [
        [],
        [last_again],
        [NoRepeatNGramLogitsProcessor(2), SuppressTokensLogitsProcessor([1, 2])],
        [TemperatureLogitsWarper(0.3), last_again],
        # The caller's own penalty replaces the one that the argument asks for.
        [last_again, RepetitionPenaltyLogitsProcessor(2.0)],
        [RepetitionPenaltyLogitsProcessor(2.0), RepetitionPenaltyLogitsProcessor(1.5)],
    ]


@pytest.mark.parametrize("settings", FILTERS, ids=str)
def test_logits_are_warped_as_generate_does_it(model, settings):
    import torch

    generator = torch.Generator().manual_seed(5)
    for custom, length in itertools.product(customs(), (2, 9)):
        ours = Sampling(**({"temperature": 1.0} | settings), processors=tuple(custom))
        ids = torch.randint(VOCAB, (1, length), generator=generator)
        scores = torch.randn(1, VOCAB, generator=generator, dtype=model.dtype) * 3
        scores[0, :3] = scores[0, 3]  # ties
        expected = theirs(model, custom, **settings)(ids, scores.clone())
        processed = ours.process(ids[0].tolist(), scores[0])
        assert torch.equal(ours.warp(processed), expected[0])
        assert torch.equal(ours.warp(processed.expand(2, 3, -1)), expected.expand(2, 3, -1))


def listed():
    """Return every kind of processor that has something to say about a greedy decode."""
    from transformers import (
        ExponentialDecayLengthPenalty,
        ForcedEOSTokenLogitsProcessor,
        MinLengthLogitsProcessor,
        MinNewTokensLengthLogitsProcessor,
        NoBadWordsLogitsProcessor,
        NoRepeatNGramLogitsProcessor,
        PrefixConstrainedLogitsProcessor,
        RepetitionPenaltyLogitsProcessor,
        SequenceBiasLogitsProcessor,
        SuppressTokensAtBeginLogitsProcessor,
        SuppressTokensLogitsProcessor,
        WatermarkLogitsProcessor,
    )

    end = len(PROMPT)
    return {
        "repetition": [RepetitionPenaltyLogitsProcessor(1.8)],
        "ngram": [NoRepeatNGramLogitsProcessor(2)],
        "unigram": [NoRepeatNGramLogitsProcessor(1)],
        "min new": [ForcedLater(EOS), MinNewTokensLengthLogitsProcessor(end, 9, EOS)],
        "min": [ForcedLater(EOS), MinLengthLogitsProcessor(end + 11, EOS)],
        "forced eos": [ForcedEOSTokenLogitsProcessor(end + 13, EOS)],
        "suppress": [SuppressTokensLogitsProcessor(list(range(0, VOCAB, 2)))],
        "at begin": [SuppressTokensAtBeginLogitsProcessor(list(range(40, VOCAB)), end)],
        "bad words": [NoBadWordsLogitsProcessor([[one] for one in range(30)] + [[31, 32]])],
        "bias": [SequenceBiasLogitsProcessor({(4,): 2.0, (4, 5): 9.0, (5, 6): 9.0})],
        "only some": [PrefixConstrainedLogitsProcessor(some_allowed, 1)],
        "decay": [ExponentialDecayLengthPenalty((4, 1.4), EOS, end)],
        "watermark": [WatermarkLogitsProcessor(VOCAB, "cpu", bias=3.0)],
        "custom": [last_again],
        "many": [
            last_again,
            NoRepeatNGramLogitsProcessor(3),
            RepetitionPenaltyLogitsProcessor(1.2),
        ],
    }


class ForcedLater:
    """Make one token the likeliest of all, at every place."""

    def __init__(self, token):
        self._token = token

    def __call__(self, _ids, scores):
        scores[:, self._token] += 50
        return scores


def some_allowed(_batch, ids):
    """Allow the tokens that the sum of all before them names."""
    return [(int(ids.sum()) + step) % VOCAB for step in (0, 1, 5, 20)]


def generated(model, custom, count, **settings):
    import torch
    from transformers import LogitsProcessorList

    ids = torch.tensor([PROMPT])
    with torch.inference_mode():
        output = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=count,
            logits_processor=LogitsProcessorList(custom),
            eos_token_id=EOS,
            pad_token_id=0,
            **settings,
        )
    return output[0, len(PROMPT) :].tolist()


@pytest.mark.parametrize("name", sorted(["repetition", "ngram", "unigram", "min new", "min",
    "forced eos", "suppress", "at begin", "bad words", "bias", "only some", "decay", "watermark",
    "custom", "many"]))  # fmt: skip
def test_greedy_decoding_with_processors_is_generates(model, decoders, name):
    custom = listed()[name]
    expected = generated(model, custom, 24)
    without = generated(model, [], 24)
    assert expected != without, "the processor changes nothing: this test would show nothing"
    for decoder in decoders:
        result = decoder.decode(
            PROMPT, max_new_tokens=24, eos_token_id=EOS, logits_processor=custom
        )
        assert result.token_ids == expected
        assert result.finish_reason == ("eos" if expected[-1] == EOS else "length")


def test_the_penalty_of_the_argument_is_generates(model, decoders):
    expected = generated(model, [], 24, repetition_penalty=1.4)
    for decoder in decoders:
        result = decoder.decode(PROMPT, max_new_tokens=24, eos_token_id=EOS, repetition_penalty=1.4)
        assert result.token_ids == expected


@pytest.mark.parametrize("settings", FILTERS[1:], ids=str)
def test_kangaroo_samples_what_plain_decoding_samples(decoders, settings):
    for seed in (7, 2**64 - 1):
        custom = [last_again] if seed == 7 else None
        given = {"max_new_tokens": 20, "seed": seed, "logits_processor": custom, **settings}
        plain, *fast = (decoder.decode(PROMPT, **given) for decoder in decoders)
        assert plain.seed == seed
        for result in fast:
            assert result.token_ids == plain.token_ids
        assert any(result.metrics.num_accepted_draft_tokens for result in fast)


def test_sampling_at_little_temperature_is_greedy(decoders):
    for decoder in decoders:
        greedy = decoder.decode(PROMPT, max_new_tokens=16).token_ids
        assert decoder.decode(PROMPT, max_new_tokens=16, temperature=1e-6).token_ids == greedy
        one = decoder.decode(PROMPT, max_new_tokens=16, temperature=2.0, top_k=1)
        assert one.token_ids == greedy


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("verifier", ["match", "rejection"])
def test_lossless_verifiers_are_greedy_at_0_and_serve_above(
    decoders, model, adapter, verifier, temperature
):
    options = {"adapter": adapter, "threshold": 0.0}
    decoder = specframe.load(model, options=options, verifier=verifier)
    given = {"max_new_tokens": 20, "temperature": temperature, "seed": 3}
    result, plain = decoder.decode(PROMPT, **given), decoders[0].decode(PROMPT, **given)
    assert len(result.token_ids) == 20
    assert (decoder.decode(PROMPT, **given).token_ids) == result.token_ids
    if verifier == "match" or not temperature:
        assert result.token_ids == plain.token_ids


def test_the_setup_names_the_verifier_in_force_and_its_promise(decoders, model):
    plain = decoders[0]
    assert (plain.setup_at(0.0).verifier, plain.setup_at(0.5).verifier) == ("greedy", "match")
    drawn = specframe.load(model, strategy="none", verifier="rejection")
    promises = [drawn.setup_at(temperature).guarantee for temperature in (0.0, 0.5)]
    assert promises == ["tokens", "distribution"]
    lossy = specframe.load(model, strategy="none", verifier="typical")
    assert [lossy.setup_at(temperature).guarantee for temperature in (0.0, 0.5)] == ["none"] * 2


def test_naming_greedy_above_0_is_an_error(model):
    decoder = specframe.load(model, strategy="none", verifier="greedy")
    with pytest.raises(InputError, match="'greedy' decodes at temperature 0 only") as caught:
        decoder.decode(PROMPT, temperature=0.7)
    assert "temperature is 0.7: name 'match'" in str(caught.value)
    assert len(decoder.decode(PROMPT, max_new_tokens=2).token_ids) == 2


def test_processors_with_a_memory_are_refused_by_name(decoders, model):
    from transformers import (
        LogitsProcessorList,
        SynthIDTextWatermarkLogitsProcessor,
        UnbatchedClassifierFreeGuidanceLogitsProcessor,
    )

    class Derived(UnbatchedClassifierFreeGuidanceLogitsProcessor):
        pass

    ids = [[3, 14]]
    mark = SynthIDTextWatermarkLogitsProcessor(5, [654, 400], 10, 0, 8, "cpu")
    for stateful in (mark, Derived(1.5, model, ids)):
        for given in (stateful, [last_again, stateful], [LogitsProcessorList([stateful])]):
            with pytest.raises(InputError, match="remembers earlier calls") as caught:
                decoders[0].decode(PROMPT, logits_processor=given)
            assert type(stateful).__name__ in str(caught.value)

"""transformers' generate with our loop inside: its arguments, its tokens, refusals by name."""

import copy
import string

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import specframe
from specframe import InputError, OptionError, UnknownNameError
from specframe._generate.prompt_rows import Chain
from specframe._generate.refusals import ASSISTANTS
from specframe._sampling.warping import Sampling

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("tiny")]
VOCAB, PAD, CONTEXT = 61, 60, 64
PROMPT = [3, 14, 15, 9, 26, 5]
RAGGED = [[3, 14, 15], PROMPT, [7]]
ENDS = [4, 9, 18, 19, 20, 21, 22, 33, 42]


@pytest.fixture(scope="module")
def model(tiny):
    return tiny.model(seed=3, max_position_embeddings=CONTEXT)


@pytest.fixture(scope="module")
def wide(tiny):
    """Return the model in float64: generate rounds its logits alone."""
    return tiny.model(dtype="float64", seed=3, max_position_embeddings=CONTEXT)


@pytest.fixture(scope="module")
def adapter(tiny, model, tmp_path_factory):
    return tiny.adapter(tmp_path_factory.mktemp("adapter"), model, exit_layer=2)


@pytest.fixture(scope="module")
def kangaroo(adapter):
    return specframe.custom_generate("kangaroo", adapter=adapter, threshold=0.0, steps=4)


def padded(prompts):
    """Return arguments for rows of one length, padded on the left."""
    import torch

    longest = max(map(len, prompts))
    rows = [[PAD] * (longest - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(mask)}


def generate(model, prompts, **arguments):
    import torch

    given = {"do_sample": False, "max_new_tokens": 16, "pad_token_id": PAD} | arguments
    output = model.generate(**padded(prompts), **given)
    return output.tolist() if isinstance(output, torch.Tensor) else output


def last_again(ids, scores):
    """Favour the token before the last, as a user's own processor."""
    scores = scores.clone()
    for row, tokens in enumerate(ids):
        scores[row, tokens[-2] if len(tokens) > 1 else 1] += 2.5
    return scores


def by_row(batch_id, _ids):
    """Allow other tokens in each row."""
    return [token for token in range(VOCAB) if token % 4 != batch_id]


def no_more_than(total):
    """Stop a row where its tokens, padding too, add up to more than ``total``."""
    return lambda ids, _scores, **_: ids.sum(dim=1) > total


SETTINGS = [
    {},
    {"eos_token_id": ENDS},
    {"repetition_penalty": 1.4},
    {"repetition_penalty": 0.7, "no_repeat_ngram_size": 2, "eos_token_id": 9},
    {"min_new_tokens": 4, "eos_token_id": ENDS},
    {"min_length": 9, "eos_token_id": ENDS},
    {"bad_words_ids": [[18], [24, 42]], "suppress_tokens": [53]},
    {"begin_suppress_tokens": [53], "forced_eos_token_id": 7, "eos_token_id": 7},
    {"sequence_bias": [[[33], 2.0]], "renormalize_logits": True},
    {"exponential_decay_length_penalty": (2, 1.5), "eos_token_id": ENDS},
    {"logits_processor": [last_again], "repetition_penalty": 1.2},
    {"prefix_allowed_tokens_fn": by_row, "eos_token_id": ENDS},
    {"stopping_criteria": [no_more_than(420)], "eos_token_id": 59},
    {"max_length": 11, "max_new_tokens": None},
    {"use_cache": False},
]


BOUND = ("max_length", "min_", "forced_eos", "exponential", "stopping_criteria")  # to an end token
ANYWHERE = [chosen for chosen in SETTINGS if not any(name.startswith(BOUND) for name in chosen)]


@pytest.mark.parametrize("strategy", ["none", "prompt-lookup", "early-exit", "kangaroo"])
def test_the_tokens_are_those_of_generate(model, kangaroo, strategy):
    options = {"exit_layer": 2} if strategy == "early-exit" else {}
    bridge = kangaroo
    if strategy != "kangaroo":
        bridge = specframe.custom_generate(strategy, options=options)
    for prompts in ([PROMPT], RAGGED):
        assert generate(model, prompts, custom_generate=bridge) == generate(model, prompts)


@pytest.mark.parametrize("chosen", SETTINGS, ids=lambda chosen: "-".join(chosen) or "none")
def test_each_setting_means_what_it_means_in_generate(wide, kangaroo, chosen):
    chosen = {"max_new_tokens": 10} | chosen
    expected = generate(wide, RAGGED, **copy.deepcopy(chosen))
    assert generate(wide, RAGGED, custom_generate=kangaroo, **chosen) == expected


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    prompts=st.lists(
        st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=7), min_size=1, max_size=3
    ),
    ends=st.one_of(st.none(), st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=9)),
    chosen=st.sampled_from(ANYWHERE),
    count=st.integers(1, 10),
)
def test_rows_of_any_length_end_as_in_generate(wide, kangaroo, prompts, ends, chosen, count):
    given = chosen | {"eos_token_id": ends, "max_new_tokens": count}
    expected = generate(wide, prompts, **copy.deepcopy(given))
    assert generate(wide, prompts, custom_generate=kangaroo, **given) == expected


def test_a_generation_config_is_read_as_generate_reads_it(model, kangaroo):
    from transformers import GenerationConfig

    config = GenerationConfig(
        max_new_tokens=9, repetition_penalty=1.3, eos_token_id=ENDS, pad_token_id=PAD
    )
    ours = model.generate(**padded(RAGGED), generation_config=config, custom_generate=kangaroo)
    assert ours.tolist() == model.generate(**padded(RAGGED), generation_config=config).tolist()


WARPERS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0.1, 3),
        "top_k": st.integers(0, 70),
        "top_p": st.floats(0.0, 1.0),
        "min_p": st.floats(0.0, 1.0),
        "repetition_penalty": st.floats(0.5, 2.0),
    },
)


LATER = [{}, {}, {"renormalize_logits": True}, {"typical_p": 0.6}, {"epsilon_cutoff": 0.03}]
OWN = ["none", "temperature", "top_k", "top_p", "top_p of three"]


@settings(max_examples=80, deadline=None)
@given(WARPERS, st.sampled_from(LATER), st.sampled_from(OWN), st.integers(0, 99))
@example({"top_p": 0.0}, {}, "none", 0)
@example({"temperature": 0.5}, {}, "temperature", 0)
@example({"temperature": 0.2}, {}, "top_p", 0)
@example({"min_p": 0.3}, {}, "top_p of three", 0)
def test_what_a_sampler_takes_over_is_what_the_processors_do(model, chosen, later, own, seed):
    import torch
    from transformers import GenerationConfig, LogitsProcessorList
    from transformers import TemperatureLogitsWarper as Temperature
    from transformers import TopKLogitsWarper as TopK
    from transformers import TopPLogitsWarper as TopP

    made = [[], [Temperature(0.3)], [TopK(7)], [TopP(0.8)], [TopP(0.2, min_tokens_to_keep=3)]]
    prepared = model._get_logits_processor(
        generation_config=GenerationConfig(do_sample=True, **chosen, **later),
        input_ids_seq_length=len(PROMPT),
        logits_processor=LogitsProcessorList([last_again, *made[OWN.index(own)]]),
    )
    scores = 3 * torch.randn(1, VOCAB, generator=torch.Generator().manual_seed(seed))
    chain = Chain.of(prepared, is_sampled=True)
    sampling = Sampling(processors=chain.processors, **chain.settings)
    ours = sampling.warp(sampling.process(PROMPT, scores[0])[None])
    theirs = prepared(torch.tensor([PROMPT]), scores.clone())
    if later.get("renormalize_logits"):
        ours = ours.log_softmax(dim=-1)
    assert torch.equal(ours, theirs)


def test_greedy_decoding_asks_all_processors():
    from transformers import TopKLogitsWarper

    chain = Chain.of([last_again, TopKLogitsWarper(3)], is_sampled=False)
    assert chain.settings == {"temperature": 0.0}
    assert len(chain.processors) == 2


SAMPLED = {"do_sample": True, "temperature": 0.9, "top_k": 20, "eos_token_id": ENDS}


def test_samples_follow_the_seed_of_torch_and_no_drafter(model, kangaroo):
    import torch

    plain = specframe.custom_generate("none")
    seen = []
    for bridge, seed in ((plain, 5), (kangaroo, 5), (kangaroo, 6)):
        torch.manual_seed(seed)
        seen.append(generate(model, RAGGED, custom_generate=bridge, **SAMPLED))
    assert seen[0] == seen[1]
    assert seen[1] != seen[2]


def test_several_sequences_of_one_prompt_are_several_draws(model, kangaroo):
    given = SAMPLED | {"num_return_sequences": 4, "eos_token_id": None}
    rows = generate(model, [PROMPT], custom_generate=kangaroo, **given)
    assert len(rows) == 4
    assert len({tuple(row) for row in rows}) == 4


def test_sampling_among_one_token_is_greedy(model, kangaroo):
    given = {"custom_generate": kangaroo, "eos_token_id": ENDS}
    sampled = generate(model, RAGGED, do_sample=True, top_k=1, repetition_penalty=1.2, **given)
    assert sampled == generate(model, RAGGED, repetition_penalty=1.2, **given)


def test_greedy_decoding_leaves_torchs_generator_alone(model, kangaroo):
    import torch

    before = torch.get_rng_state()
    generate(model, [PROMPT], custom_generate=kangaroo)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_dictionary_has_scores_and_logits_of_every_step(wide, kangaroo):
    import torch

    given = {"output_scores": True, "output_logits": True, "return_dict_in_generate": True}
    given |= {"repetition_penalty": 1.3, "eos_token_id": ENDS}
    theirs = generate(wide, RAGGED, **given)
    ours = generate(wide, RAGGED, custom_generate=kangaroo, **given)
    assert type(ours) is type(theirs)
    assert ours.sequences.tolist() == theirs.sequences.tolist()
    lengths = [len(result.token_ids) for result in ours.results]
    assert min(lengths) < max(lengths) == len(ours.scores) == len(ours.logits)
    for row, length in enumerate(lengths):
        for step in range(length):
            torch.testing.assert_close(ours.logits[step][row], theirs.logits[step][row])
            torch.testing.assert_close(ours.scores[step][row], theirs.scores[step][row])
        assert not any(bool(step[row].any()) for step in ours.logits[length:])
    assert ours.past_key_values is None
    assert ours.results[0].metrics.num_draft_tokens > 0


def test_tensors_that_were_not_asked_for_are_left_out(model, kangaroo):
    output = generate(model, [PROMPT], custom_generate=kangaroo, return_dict_in_generate=True)
    assert output.scores is None
    assert output.logits is None
    assert [result.token_ids for result in output.results] == [
        output.sequences[0, len(PROMPT) :].tolist()
    ]


class Listener:
    """Note what a streamer is handed."""

    def __init__(self):
        self.put_values, self.ended = [], 0

    def put(self, value):
        self.put_values.append(value.tolist())

    def end(self):
        self.ended += 1


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_streamer_gets_what_generate_gives_it(model, kangaroo, is_wrapped):
    def wrapped(*given, **named):
        return kangaroo(*given, **named)

    bridge = wrapped if is_wrapped else kangaroo
    theirs, ours = Listener(), Listener()
    generate(model, [PROMPT], streamer=theirs, eos_token_id=ENDS)
    generate(model, [PROMPT], streamer=ours, eos_token_id=ENDS, custom_generate=bridge)
    assert ours.put_values == theirs.put_values
    assert ours.put_values[0] == [PROMPT]
    assert ours.ended == 1


def embedded(model):
    return {"inputs_embeds": model.get_input_embeddings().weight[None, :4]}


def cached(model):
    from transformers import DynamicCache

    return {"past_key_values": DynamicCache(config=model.config)}


def positions(_):
    import torch

    return {"position_ids": torch.arange(5, 5 + len(PROMPT))[None]}


def hidden(_):
    import torch

    return {"attention_mask": torch.tensor([[1, 1, 1, 1, 1, 0]])}


REFUSED = {
    "num_beams=3": lambda _: {"num_beams": 3},
    "assistant_model": lambda model: {"assistant_model": model},
    "prompt_lookup_num_tokens=3": lambda _: {"prompt_lookup_num_tokens": 3},
    "assistant_early_exit=2": lambda _: {"assistant_early_exit": 2},
    "num_assistant_tokens=5": lambda _: {"num_assistant_tokens": 5},
    "num_assistant_tokens_schedule='heuristic'": lambda _: {
        "num_assistant_tokens_schedule": "heuristic"
    },
    "assistant_confidence_threshold=0.2": lambda _: {"assistant_confidence_threshold": 0.2},
    "max_matching_ngram_size=3": lambda _: {"max_matching_ngram_size": 3},
    "assistant_lookbehind=4": lambda _: {"assistant_lookbehind": 4},
    "target_lookbehind=4": lambda _: {"target_lookbehind": 4},
    "assistant_ensemble_weight=0.5": lambda _: {"assistant_ensemble_weight": 0.5},
    "assistant_tokenizer": lambda _: {"tokenizer": object(), "assistant_tokenizer": object()},
    "force_words_ids": lambda _: {"force_words_ids": [[3]], "num_beams": 1},
    "penalty_alpha=0.6": lambda _: {"penalty_alpha": 0.6, "top_k": 4},
    "dola_layers='low'": lambda _: {"dola_layers": "low"},
    "output_attentions=True": lambda _: {"output_attentions": True},
    "output_hidden_states=True": lambda _: {"output_hidden_states": True},
    "guidance_scale=1.5": lambda _: {"guidance_scale": 1.5},
    "encoder_repetition_penalty=1.5": lambda _: {"encoder_repetition_penalty": 1.5},
    "cache_implementation='offloaded'": lambda _: {"cache_implementation": "offloaded"},
    "synced_gpus=True": lambda _: {"synced_gpus": True},
    "inputs_embeds": embedded,
    "past_key_values": cached,
    "position_ids of row 0": positions,
    "attention_mask hides": hidden,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_served_is_refused_by_its_name(model, kangaroo, name):
    import torch

    given = {"max_new_tokens": 4, "custom_generate": kangaroo} | REFUSED[name](model)
    given |= {"return_dict_in_generate": True} if "output" in name else {}
    with pytest.raises(InputError) as caught:
        model.generate(torch.tensor([PROMPT]), **given)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


USUAL = {
    "num_assistant_tokens": 20,
    "num_assistant_tokens_schedule": "constant",
    "assistant_confidence_threshold": 0.4,
    "max_matching_ngram_size": 2,
    "assistant_lookbehind": 10,
    "target_lookbehind": 10,
    "assistant_ensemble_weight": None,
}


def test_the_defaults_of_an_assistant_are_those_of_transformers():
    from transformers import GenerationConfig

    theirs = GenerationConfig._get_default_generation_params()
    assert all(theirs.get(name) in usual for name, usual in ASSISTANTS.items())
    assert all(value in ASSISTANTS[name] for name, value in USUAL.items())


def test_usual_settings_of_an_assistant_change_nothing(model, kangaroo):
    ours = generate(model, [PROMPT], custom_generate=kangaroo, **USUAL)
    assert ours == generate(model, [PROMPT], custom_generate=kangaroo)


def test_a_model_may_have_settings_of_its_own_assistant(model, kangaroo, monkeypatch):
    own = copy.deepcopy(model.generation_config)
    own.update(num_assistant_tokens=5, num_assistant_tokens_schedule="heuristic")
    plain = generate(model, [PROMPT], custom_generate=kangaroo)
    monkeypatch.setattr(model, "generation_config", own)
    assert generate(model, [PROMPT], custom_generate=kangaroo) == plain
    with pytest.raises(InputError, match="num_assistant_tokens=7"):
        generate(model, [PROMPT], custom_generate=kangaroo, num_assistant_tokens=7)


def test_one_number_for_each_cached_token_is_not_a_mask_of_the_prompt(model, kangaroo):
    import torch

    with pytest.raises(InputError, match="attention_mask has shape"):
        model.generate(
            torch.tensor([PROMPT]),
            attention_mask=torch.ones(1, 9) * 2,
            custom_generate=kangaroo,
            max_new_tokens=4,
        )


def test_streamers_of_several_rows_are_refused(model, kangaroo):
    with pytest.raises(InputError, match="streamer shows one prompt's text and 3 prompts"):
        generate(model, RAGGED, streamer=Listener(), custom_generate=kangaroo)


def test_processors_that_remember_are_refused(model, kangaroo):
    from transformers import SynthIDTextWatermarkingConfig as Watermark

    mark = Watermark(ngram_len=3, keys=[1, 2, 3])
    with pytest.raises(InputError, match="SynthIDTextWatermarkLogitsProcessor"):
        generate(model, [PROMPT], custom_generate=kangaroo, watermarking_config=mark)


def test_criteria_that_would_need_more_than_a_row_are_refused(model, kangaroo):
    given = {"custom_generate": kangaroo, "stopping_criteria": [no_more_than(99)]}
    with pytest.raises(InputError, match="without an end token"):
        generate(model, RAGGED, **given)
    scores = {"output_scores": True, "return_dict_in_generate": True}
    with pytest.raises(InputError, match="output_scores"):
        generate(model, [PROMPT], **given, **scores)


@pytest.fixture
def stop_at():
    """Return a function that makes transformers' criterion for some tokens, of a letter each."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast, StopStringCriteria

    letters = (string.ascii_letters + string.digits)[:VOCAB]
    made = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, merges=[]))
    made.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made)
    return lambda *tokens: StopStringCriteria(tokenizer, [letters[token] for token in tokens])


def test_a_row_that_a_stop_string_ends_is_as_long_as_in_generate(wide, kangaroo, stop_at):
    """Without an end token, generate continues a stopped row until the last row has stopped too."""
    prompts = [PROMPT, [7, 8]]
    plain = [row[len(PROMPT) :] for row in generate(wide, prompts)]
    ends = plain[0][2], plain[1][7]
    alone = generate(wide, prompts[:1], stopping_criteria=[stop_at(*ends)])
    both = generate(wide, prompts, stopping_criteria=[stop_at(*ends)])
    assert len(alone[0]) < len(both[0]) < len(PROMPT) + 16
    assert both[0] == (PROMPT + plain[0])[: len(both[0])]

    ours = generate(wide, prompts[:1], custom_generate=kangaroo, stopping_criteria=[stop_at(*ends)])
    assert ours == alone
    given = {"stopping_criteria": [stop_at(*ends)], "eos_token_id": 59}
    padded_rows = generate(wide, prompts, **given)
    assert generate(wide, prompts, custom_generate=kangaroo, **given) == padded_rows
    with pytest.raises(InputError, match=r"\(StopStringCriteria\) for 2 rows without an end token"):
        generate(wide, prompts, custom_generate=kangaroo, stopping_criteria=[stop_at(*ends)])


def test_time_ends_all_rows_at_once(wide, kangaroo):
    given = {"max_time": 1e-9, "custom_generate": kangaroo}
    assert generate(wide, [PROMPT, [7]], **given) == [
        row[: len(PROMPT) + 1] for row in generate(wide, [PROMPT, [7]])
    ]


def test_scores_see_their_own_prefix_where_rows_end_at_different_lengths(wide, kangaroo):
    """The context window ends the longest prompt first, and all rows are cut to it."""
    import torch

    prompts = [PROMPT * 9, [7]]
    given = {"output_scores": True, "output_logits": True, "return_dict_in_generate": True}
    given |= {"repetition_penalty": 1.3, "max_new_tokens": 12}
    theirs = generate(wide, prompts, **given)
    with pytest.warns(UserWarning, match="context window"):
        ours = generate(wide, prompts, custom_generate=kangaroo, **given)
    steps = CONTEXT - len(prompts[0])
    assert [len(result.token_ids) for result in ours.results] == [steps, 12]
    assert ours.sequences.tolist() == theirs.sequences[:, :CONTEXT].tolist()
    assert len(ours.scores) == len(ours.logits) == steps
    for step in range(steps):
        torch.testing.assert_close(ours.scores[step], theirs.scores[step])
        torch.testing.assert_close(ours.logits[step], theirs.logits[step])


def test_names_and_options_are_checked_before_a_model_is_there():
    with pytest.raises(UnknownNameError, match="kangaroo"):
        specframe.custom_generate("kangaro")
    with pytest.raises(OptionError, match="adaptor"):
        specframe.custom_generate("kangaroo", adaptor="here")


def test_the_context_window_ends_a_row_with_a_warning(model, kangaroo):
    with pytest.warns(UserWarning, match=f"context window of {CONTEXT} tokens"):
        rows = generate(model, [PROMPT], custom_generate=kangaroo, max_new_tokens=99)
    assert len(rows[0]) == CONTEXT


def test_the_model_is_left_as_it_is_and_loaded_once(tiny, adapter):
    import torch

    model = tiny.model(seed=3, max_position_embeddings=CONTEXT)
    model.train()
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    names, settings_before = set(vars(model)), copy.deepcopy(model.generation_config.to_dict())
    runs = []
    model.register_forward_pre_hook(lambda *_: runs.append(1))
    for _ in range(3):
        bridge = specframe.custom_generate("kangaroo", adapter=adapter)
        generate(model, [PROMPT], custom_generate=bridge)
    assert len(runs) == 1  # the probe's
    assert set(vars(model)) == names
    assert model.generation_config.to_dict() == settings_before
    assert all(module.training for module in model.modules())
    assert all(torch.equal(weight, weights[name]) for name, weight in model.state_dict().items())


def test_an_encoder_decoder_is_refused(tiny):
    config = tiny.config("t5", d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    from transformers import AutoModelForSeq2SeqLM

    config.decoder_start_token_id = 0
    model = AutoModelForSeq2SeqLM.from_config(config)
    with pytest.raises(InputError, match="type 't5' have an encoder"):
        generate(model, [PROMPT], custom_generate=specframe.custom_generate("none"))

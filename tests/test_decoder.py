"""load, decode and stream, as people call them."""

import inspect

import pytest

import specframe
from specframe import InputError, SequenceDrafter

pytestmark = pytest.mark.models
PROMPT = [3, 14, 15, 9, 26, 5]
METRICS = [
    "num_prompt_tokens",
    "num_new_tokens",
    "num_spec_steps",
    "num_draft_tokens",
    "num_accepted_draft_tokens",
    "draft_acceptance_rate",
    "mean_acceptance_length",
    "acceptance_histogram",
    "acceptance_by_position",
    "seconds",
    "tokens_per_second",
    "tokens_per_second_with_prefill",
]
DECODE = {
    "max_new_tokens": 128,
    "eos_token_id": None,
    "stop": (),
    "seed": None,
    "temperature": 0.0,
    "top_k": None,
    "top_p": None,
    "min_p": None,
    "repetition_penalty": None,
    "logits_processor": None,
    "stopping_criteria": None,
    "batch_size": None,
    "output_logits": False,
    "output_probs": False,
}
LOAD = {
    "strategy": "kangaroo",
    "options": None,
    "tokenizer": None,
    "verifier": None,
    "stop_policy": None,
    "dtype": "auto",
    "device": "auto",
    "exact": False,
    "trust_remote_code": False,
    "revision": None,
}


@pytest.fixture(scope="module")
def model(tiny):
    return tiny.model(dtype="float64", max_position_embeddings=48)


@pytest.fixture(scope="module")
def expected(tiny, model):
    return tiny.generate(model, PROMPT, 20)


@pytest.fixture(scope="module")
def adapter(tiny, model, tmp_path_factory):
    return tiny.adapter(tmp_path_factory.mktemp("adapter"), model, exit_layer=2)


@pytest.fixture
def kangaroo(model, adapter):
    return specframe.load(model, options={"adapter": adapter, "threshold": 0.0, "steps": 4})


class Scripted(SequenceDrafter):
    """Follow a script, with every fourth guess wrong."""

    def __init__(self, script):
        self._script = script

    def guess(self, tokens, room):
        at = len(tokens)
        if at % 4 == 3:
            return [0] * room
        return self._script[at : at + room]


@pytest.mark.parametrize(
    ("call", "defaults"),
    [
        (specframe.load, LOAD),
        (specframe.Decoder.decode, DECODE | {"streamer": None}),
        (specframe.Decoder.stream, {name: DECODE[name] for name in DECODE if name != "batch_size"}),
    ],
)
def test_arguments_have_their_published_names_and_defaults(call, defaults):
    parameters = inspect.signature(call).parameters.values()
    keywords = {each.name: each.default for each in parameters if each.kind == each.KEYWORD_ONLY}
    assert keywords == defaults


def test_an_instance_serves_as_strategy(model, expected):
    decoder = specframe.load(model, strategy=Scripted(PROMPT + expected))
    result = decoder.decode(PROMPT, max_new_tokens=20)
    assert result.token_ids == expected
    assert decoder.setup.strategy == "Scripted"
    assert decoder.setup.stop_policy == "fixed"
    assert result.metrics.num_accepted_draft_tokens > 8
    assert result.metrics.draft_acceptance_rate < 1
    assert result.rounds[0].draft_confidences is None


CHAIN = {"tree": False, "tree_top_k": 10, "tree_first_k": None, "max_nodes": 64}


def test_options_reach_the_drafter_and_are_reported(model, adapter, expected):
    options = {"adapter": adapter, "exit_layer": 3, "steps": 2, "threshold": "0.25"}
    decoder = specframe.load(model, options=options)
    assert decoder.setup.options == {**options, "threshold": 0.25, **CHAIN}
    result = decoder.decode(PROMPT, max_new_tokens=20)
    assert result.token_ids == expected
    assert max(len(round.draft_tokens) for round in result.rounds) == 2


def test_defaults_come_from_the_metadata_and_then_from_the_method(tiny, model, tmp_path):
    silent = {"adapter": tiny.adapter(tmp_path / "silent", model)}
    told = {"adapter": tiny.adapter(tmp_path / "told", model, exit_layer=3)}
    defaults = {"steps": 6, "threshold": 0.6}
    chosen = specframe.load(model, options=silent).setup.options
    assert chosen == {**silent, "exit_layer": 2, **defaults, **CHAIN}
    assert specframe.load(model, options=told).setup.options["exit_layer"] == 3
    overruled = specframe.load(model, options=told | {"exit_layer": 1}).setup.options
    assert overruled["exit_layer"] == 1


def test_a_stop_policy_takes_its_own_options(model, adapter, expected):
    options = {"adapter": adapter, "steps": 5, "stop.steps": 3}
    decoder = specframe.load(model, options=options, stop_policy="fixed")
    result = decoder.decode(PROMPT, max_new_tokens=20)
    assert result.token_ids == expected
    assert [len(round.draft_tokens) for round in result.rounds[:2]] == [3, 3]
    assert max(len(round.draft_tokens) for round in result.rounds) == 3


def test_the_drafters_steps_bound_every_stop_policy(model, adapter):
    options = {"adapter": adapter, "steps": 2, "stop.steps": 5}
    decoder = specframe.load(model, options=options, stop_policy="fixed")
    result = decoder.decode(PROMPT, max_new_tokens=20)
    assert max(len(round.draft_tokens) for round in result.rounds) == 2


def test_kangaroos_threshold_feeds_the_confidence_policy(model, adapter):
    always = specframe.load(model, options={"adapter": adapter, "threshold": 1.1})
    rounds = always.decode(PROMPT, max_new_tokens=12).rounds
    assert {len(round.draft_tokens) for round in rounds[:-1]} == {1}
    own = {"adapter": adapter, "threshold": 1.1, "stop.threshold": 0.0, "steps": 3}
    rounds = specframe.load(model, options=own).decode(PROMPT, max_new_tokens=12).rounds
    assert len(rounds[0].draft_tokens) == 3


def test_the_token_that_the_drafter_was_unsure_of_stays_in_the_draft(model, adapter):
    decoder = specframe.load(model, options={"adapter": adapter, "threshold": 0.4})
    rounds = decoder.decode(PROMPT, max_new_tokens=20).rounds
    below = [[value < 0.4 for value in round.draft_confidences] for round in rounds]
    assert all(not any(flags[:-1]) for flags in below)
    assert any(flags[-1] for flags in below if flags)


def test_a_list_of_prompts_gives_a_list_in_order(kangaroo, tiny, model):
    prompts = [PROMPT, [7], [1, 2, 3]]
    results = kangaroo.decode(prompts, max_new_tokens=7, seed=[5, 6, 7])
    assert [result.prompt_token_ids for result in results] == prompts
    assert [result.seed for result in results] == [5, 6, 7]
    for prompt, result in zip(prompts, results, strict=True):
        assert result.token_ids == tiny.generate(model, prompt, 7)
    assert len(kangaroo.decode([PROMPT], max_new_tokens=2)) == 1
    assert [each.seed for each in kangaroo.decode(prompts, max_new_tokens=1, seed=9)] == [9] * 3


def test_an_empty_list_of_prompts_is_an_empty_prompt(kangaroo):
    with pytest.raises(InputError, match="the prompt is empty"):
        kangaroo.decode([])


def test_a_seed_is_drawn_and_reported_where_none_is_given(kangaroo):
    seeds = {kangaroo.decode(PROMPT, max_new_tokens=1).seed for _ in range(3)}
    assert all(isinstance(seed, int) and seed >= 0 for seed in seeds)
    assert len(seeds) > 1


def test_a_result_of_ids_alone_has_no_text(kangaroo, expected):
    result = kangaroo.decode(PROMPT, max_new_tokens=20)
    assert result.token_ids == expected
    assert result.prompt_token_ids == PROMPT
    assert (result.text, result.logits, result.finish_reason) == (None, None, "length")


def test_the_models_own_eos_counts_unless_it_is_told_otherwise(model, expected):
    model.generation_config.eos_token_id = [expected[5], 60]
    try:
        decoder = specframe.load(model, strategy="none")
    finally:
        model.generation_config.eos_token_id = None
    stopped = decoder.decode(PROMPT, max_new_tokens=20)
    assert stopped.token_ids == expected[: expected.index(expected[5]) + 1]
    assert stopped.finish_reason == "eos"
    assert decoder.decode(PROMPT, max_new_tokens=20, eos_token_id=()).token_ids == expected
    other = decoder.decode(PROMPT, max_new_tokens=20, eos_token_id=[expected[2], 60])
    assert other.token_ids == expected[: expected.index(expected[2]) + 1]


@pytest.mark.parametrize("strategy", ["none", "kangaroo"])
def test_the_context_window_ends_the_text(model, adapter, strategy):
    options = {"adapter": adapter, "threshold": 0.0} if strategy == "kangaroo" else None
    decoder = specframe.load(model, strategy=strategy, options=options)
    for length in (41, 46, 47):
        result = decoder.decode(list(range(length)), max_new_tokens=100)
        assert len(result.token_ids) == 48 - length
        assert result.finish_reason == "context"
    exact = decoder.decode(list(range(41)), max_new_tokens=7)
    assert exact.finish_reason == "length"


def test_stopping_criteria_see_every_token_and_stop_inside_a_draft(kangaroo, expected):
    seen = []

    def criterion(input_ids, _scores):
        seen.append(input_ids[0].tolist())
        return len(seen) == 6

    result = kangaroo.decode(PROMPT, max_new_tokens=20, stopping_criteria=[criterion])
    assert seen == [PROMPT + expected[:count] for count in range(1, 7)]
    assert (result.token_ids, result.finish_reason) == (expected[:6], "criteria")


def test_criteria_of_transformers_work(kangaroo, expected):
    from transformers import MaxLengthCriteria, StoppingCriteriaList

    criteria = StoppingCriteriaList([MaxLengthCriteria(max_length=len(PROMPT) + 5)])
    result = kangaroo.decode(PROMPT, max_new_tokens=20, stopping_criteria=criteria)
    assert (result.token_ids, result.finish_reason) == (expected[:5], "criteria")


def test_the_metrics_have_their_published_names_and_add_up(kangaroo):
    result = kangaroo.decode(PROMPT, max_new_tokens=20)
    metrics, rounds = result.metrics, result.rounds
    assert list(metrics.as_dict()) == METRICS
    assert list(metrics.seconds) == ["total", "prefill", "draft", "verify", "other"]
    assert metrics.num_prompt_tokens == 6
    assert metrics.num_new_tokens == 20 == 1 + sum(len(round.committed) for round in rounds)
    assert metrics.num_spec_steps == len(rounds) == sum(metrics.acceptance_histogram)
    assert metrics.num_draft_tokens == sum(len(round.draft_tokens) for round in rounds)
    accepted = sum(count * k for k, count in enumerate(metrics.acceptance_histogram))
    assert accepted == metrics.num_accepted_draft_tokens <= metrics.num_draft_tokens
    assert metrics.draft_acceptance_rate == accepted / metrics.num_draft_tokens
    assert metrics.mean_acceptance_length == pytest.approx(19 / len(rounds))
    assert [set(entry) for entry in metrics.acceptance_by_position] == [
        {"position", "reached", "accepted"}
    ] * len(metrics.acceptance_by_position)
    assert sum(entry["accepted"] for entry in metrics.acceptance_by_position) == accepted
    parts = [metrics.seconds[part] for part in ("prefill", "draft", "verify", "other")]
    assert metrics.seconds["total"] == pytest.approx(sum(parts))
    assert min(parts) > 0
    assert metrics.tokens_per_second == pytest.approx(19 / sum(parts[1:]))
    assert metrics.tokens_per_second_with_prefill == pytest.approx(20 / sum(parts))


def test_nothing_over_nothing_is_none(kangaroo, model):
    metrics = kangaroo.decode(PROMPT, max_new_tokens=1).metrics
    assert (metrics.num_spec_steps, metrics.acceptance_histogram) == (0, [])
    assert metrics.mean_acceptance_length is None
    assert metrics.draft_acceptance_rate is None
    plain = specframe.load(model, strategy="none").decode(PROMPT, max_new_tokens=5).metrics
    assert plain.draft_acceptance_rate is None
    assert plain.mean_acceptance_length == 1

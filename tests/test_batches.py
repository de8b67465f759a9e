"""Batches: each row says what it says alone, with any neighbours."""

from functools import cache

import pytest

import specframe
from specframe import Capabilities, InputError, NumericsError, SequenceDrafter

pytestmark = pytest.mark.models
PROMPTS = [[3, 14, 15, 9, 26, 5], [7], list(range(20, 50)), [1, 2, 3], [58, 9, 9, 9]]
BUDGETS = [12, 30, 5, 1, 18]
SEEDS = [5, 6, 5, 2**63, 0]


@pytest.fixture(scope="module", params=["float32", "float64"])
def model(request, tiny):
    return tiny.model(dtype=request.param, seed=3, max_position_embeddings=64)


@pytest.fixture(scope="module")
def adapter(tiny, tmp_path_factory):
    return tiny.adapter(tmp_path_factory.mktemp("adapter"), tiny.model(seed=3), exit_layer=2)


class Erring(SequenceDrafter):
    """Guess by the last token alone: now right, now wrong, now nothing."""

    def guess(self, tokens, room):
        return [(tokens[-1] * 7 + step) % 61 for step in range(tokens[-1] % 4)][:room]


@pytest.fixture(scope="module", params=["none", "erring", "kangaroo", "hesitant", "rejection"])
def decoder(request, model, adapter):
    if request.param in {"none", "erring"}:
        return specframe.load(model, strategy=Erring() if request.param == "erring" else "none")
    threshold = 0.0 if request.param == "kangaroo" else 0.3
    verifier = "rejection" if request.param == "rejection" else None
    options = {"adapter": adapter, "threshold": threshold, "steps": 4}
    return specframe.load(model, options=options, verifier=verifier)


def summary(result):
    """Return what a row must say and do alike, alone and in a batch."""
    metrics = result.metrics.as_dict()
    kept = {key: metrics[key] for key in metrics if "second" not in key}
    rounds = [
        (each.draft_tokens, each.target_tokens, each.accepted, each.committed, each.finish_reason)
        for each in result.rounds
    ]
    return result.token_ids, result.finish_reason, result.prompt_token_ids, kept, rounds


@pytest.fixture(scope="module")
def alone(decoder):
    """Return what says a row by itself, once for all batches that it is compared with."""

    @cache
    def say(index, **settings):
        given = {"max_new_tokens": BUDGETS[index], "eos_token_id": [40, 57], **settings}
        return decoder.decode(PROMPTS[index], **given)

    return say


@pytest.mark.parametrize("settings", [
    {},
    {"temperature": 0.9, "seed": 7},
    {"temperature": 0.9, "seed": SEEDS, "top_k": 9, "repetition_penalty": 1.2},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("size", [None, 2, 3])
def test_each_row_equals_its_own_single_run(decoder, alone, settings, size):
    together = decoder.decode(
        PROMPTS, max_new_tokens=BUDGETS, eos_token_id=[40, 57], batch_size=size, **settings
    )
    assert len({len(result.token_ids) for result in together}) > 2
    assert len(together) == len(PROMPTS)
    for index, result in enumerate(together):
        own = dict(settings)
        if isinstance(own.get("seed"), list):
            own["seed"] = own["seed"][index]
        single = alone(index, **own)
        assert summary(result) == summary(single)
        assert result.seed == single.seed or "seed" not in settings


def test_a_batch_of_greedy_rows_is_what_generate_says_of_each(tiny, model, decoder):
    for prompt, result in zip(PROMPTS, decoder.decode(PROMPTS, max_new_tokens=14), strict=True):
        assert result.token_ids == tiny.generate(model, prompt, 14)
        assert result.finish_reason == "length"


def writes_in_place(ids, scores):
    scores[:, int(ids[0, -1])] -= 3
    return scores


def test_logits_of_a_row_are_its_own(decoder, model):
    import torch

    given = {"eos_token_id": [40], "output_logits": True, "temperature": 0.8, "seed": 3}
    given["logits_processor"] = writes_in_place  # the logits are the model's all the same
    together = decoder.decode(PROMPTS, max_new_tokens=BUDGETS, **given)
    for prompt, result in zip(PROMPTS, together, strict=True):
        ids = torch.tensor([prompt + result.token_ids])
        with torch.inference_mode():
            expected = model(ids).logits[0, len(prompt) - 1 : -1]
        assert result.logits.shape == expected.shape == (len(result.token_ids), 61)
        assert torch.allclose(result.logits, expected, atol=2e-4)
    assert decoder.decode(PROMPTS[:2], max_new_tokens=2)[0].logits is None


def test_every_way_to_cut_a_list_into_batches_says_the_same(decoder):
    given = {"max_new_tokens": BUDGETS, "temperature": 0.7, "seed": SEEDS}
    whole = [summary(result) for result in decoder.decode(PROMPTS, **given)]
    for size in (1, 4, 50):
        results = decoder.decode(PROMPTS, batch_size=size, **given)
        assert [summary(result) for result in results] == whole


def test_neighbours_and_order_change_nothing(decoder):
    given = {"max_new_tokens": 15, "temperature": 0.9, "seed": 4}
    first, *others = decoder.decode(PROMPTS, **given)
    turned = decoder.decode(PROMPTS[::-1], **given)
    assert [summary(each) for each in turned[::-1]] == [summary(each) for each in (first, *others)]
    twins = decoder.decode([PROMPTS[0]] * 3, **given)
    assert {tuple(each.token_ids) for each in twins} == {tuple(first.token_ids)}


def test_without_a_seed_every_row_draws_its_own_and_reports_it(decoder):
    results = decoder.decode([PROMPTS[0]] * 3, max_new_tokens=20, temperature=1.0)
    assert len({result.seed for result in results}) == 3
    assert len({tuple(result.token_ids) for result in results}) == 3
    for result in results:
        again = decoder.decode(PROMPTS[0], max_new_tokens=20, temperature=1.0, seed=result.seed)
        assert again.token_ids == result.token_ids


def test_finished_rows_leave_the_batch_and_the_cache(model, adapter):
    decoder = specframe.load(model, options={"adapter": adapter, "threshold": 0.0})
    sizes, engine = [], decoder.target.engine
    keep = engine.keep
    engine.keep = lambda kept: (sizes.append(len(kept)), keep(kept))
    decoder.decode(PROMPTS, max_new_tokens=BUDGETS)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 4, "the row whose budget is one token leaves before the first round"
    assert sizes[-1] == engine._cache.batch == 1


class Single(Erring):
    """A drafter that knows one row."""

    capabilities = Capabilities(batch=False)

    def propose(self, rows, stop, sampler):
        assert len(rows) == 1
        return super().propose(rows, stop, sampler)


def test_a_drafter_of_single_rows_gets_them_one_by_one(model):
    decoder = specframe.load(model, strategy=Single())
    results = decoder.decode(PROMPTS, max_new_tokens=8)
    plain = specframe.load(model, strategy="none").decode(PROMPTS, max_new_tokens=8)
    assert [each.token_ids for each in results] == [each.token_ids for each in plain]
    assert len(decoder.decode(PROMPTS, max_new_tokens=8, batch_size=1)) == 5
    with pytest.raises(InputError, match="batch_size is 2 and drafter 'Single' drafts for one row"):
        decoder.decode(PROMPTS, max_new_tokens=8, batch_size=2)


def test_lists_of_seeds_and_budgets_have_one_for_each_prompt(model):
    decoder = specframe.load(model, strategy="none")
    for name in ("seed", "max_new_tokens"):
        for wrong in ([1], [1, 2, 3]):
            with pytest.raises(InputError, match=rf"{name} must be .* one for each prompt \(2\)"):
                decoder.decode([[1], [2]], **{name: wrong})
    assert decoder.decode([[1]], max_new_tokens=[2], seed=[3])[0].seed == 3


def test_a_list_of_one_prompt_gives_a_list(decoder):
    (result,) = decoder.decode([PROMPTS[0]], max_new_tokens=4)
    assert result.token_ids == decoder.decode(PROMPTS[0], max_new_tokens=4).token_ids


def test_criteria_are_asked_about_each_row_alone(decoder):
    seen = []

    def short(ids, _scores):
        seen.append(ids.shape[0])
        return int(ids.sum()) % 3 == 0

    together = decoder.decode(PROMPTS, max_new_tokens=20, stopping_criteria=short)
    assert set(seen) == {1}
    for prompt, result in zip(PROMPTS, together, strict=True):
        alone = decoder.decode(prompt, max_new_tokens=20, stopping_criteria=short)
        assert result.token_ids == alone.token_ids


def test_a_row_whose_logits_are_not_finite_is_named_by_its_place(tiny):
    model = tiny.model(seed=3, max_position_embeddings=64)
    model.model.embed_tokens.weight.data[11] = float("nan")
    decoder = specframe.load(model, strategy="none")
    with pytest.raises(NumericsError, match="position 1 of row 2 are not finite"):
        decoder.decode([[1, 2], [3], [5, 11]], max_new_tokens=4, eos_token_id=())
    assert len(decoder.decode([[1, 2], [3]], max_new_tokens=4)) == 2

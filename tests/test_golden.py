"""The reference implementation's recorded decisions are ours."""

import json
from pathlib import Path

import pytest

import specframe

pytestmark = [pytest.mark.golden, pytest.mark.models, pytest.mark.usefixtures("tiny")]
GOLDEN = Path(__file__).parent / "golden"
TOLERANCE = 2e-4
CASES = [json.loads(line) for line in (GOLDEN / "cases.jsonl").read_text().splitlines()]


def decoder_of(case):
    options = {name: case[name] for name in ("exit_layer", "threshold", "steps")}
    options["adapter"] = str(GOLDEN / "adapters" / case["adapter"])
    return specframe.load(GOLDEN / "bases" / case["base"], options=options)


def until_eos(tokens, eos):
    return tokens[: tokens.index(eos) + 1] if eos in tokens else tokens


def decode(case):
    return decoder_of(case).decode(
        case["prompt_ids"],
        max_new_tokens=case["max_new_tokens"],
        eos_token_id=case["eos_token_id"],
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_every_recorded_round_is_taken_alike(case):
    result = decode(case)
    expected = until_eos(case["vanilla_new_ids"], case["eos_token_id"])
    assert result.token_ids == expected
    assert result.token_ids[: len(case["new_tokens"])] == until_eos(
        case["new_tokens"], case["eos_token_id"]
    )
    if expected[0] == case["eos_token_id"]:
        assert result.rounds == []
        assert result.finish_reason == "eos"
        return
    assert len(result.rounds) >= len(case["rounds"])
    for ours, recorded in zip(result.rounds, case["rounds"], strict=False):
        assert ours.draft_tokens == recorded["draft"]
        assert ours.draft_confidences == pytest.approx(recorded["conf"], abs=TOLERANCE)
        assert ours.target_tokens == recorded["target"]
        assert len(ours.committed) == recorded["accept_length"]


def test_the_cases_cover_eos_in_every_place_and_both_early_stops():
    groups = {case["case"].split("-")[0] for case in CASES}
    assert {"budget", "eos", "eosfirst", "grid", "long", "mix", "random"} <= groups
    assert {case["threshold"] for case in CASES} >= {0.0, 0.2, 0.6, 0.9, 1.1}
    assert any(case["eos_token_id"] in case["vanilla_new_ids"] for case in CASES)


@pytest.fixture(params=["synth5", "mha6"])
def recorded(request):
    """Return the stored tensors of one forward, with an engine on the same base."""
    import torch
    from safetensors.torch import load_file

    from specframe_kangaroo import load_checkpoint
    from specframe_kangaroo._cached_adapter import CachedAdapter

    about = json.loads((GOLDEN / "modules" / f"{request.param}.json").read_text())
    tensors = load_file(GOLDEN / "modules" / f"{request.param}.safetensors")
    decoder = specframe.load(GOLDEN / "bases" / about["base"], strategy="none")
    engine = decoder._open()[0].engine
    checkpoint = load_checkpoint(GOLDEN / "adapters" / about["adapter"])
    adapter = CachedAdapter(checkpoint.adapter, torch.float32, torch.device("cpu"))
    with torch.inference_mode():
        yield about, tensors, engine, adapter


def assert_close(found, wanted):
    import torch

    torch.testing.assert_close(found, wanted, atol=TOLERANCE, rtol=0)


def test_hidden_states_and_logits_are_the_references(recorded):
    _, tensors, engine, _ = recorded
    ids = tensors["ids"].tolist()
    engine.open(1, len(ids) + 1)
    layers = range(engine.num_layers + 1)
    filled = engine.fill(0, ids, layers)
    for layer in (1, 2, 3):
        assert_close(filled.taps[layer], tensors[f"hidden_{layer}"])
    normed = engine.norm(filled.taps[engine.num_layers][None])[0]
    assert_close(normed, tensors["final_normed"])
    assert_close(engine.logits(normed[None])[0], tensors["logits"])


def test_the_adapter_run_whole_gives_the_references_output(recorded):
    from specframe import Board

    about, tensors, engine, adapter = recorded
    hidden = tensors[f"hidden_{about['exit_layer']}"][None]
    count = hidden.shape[1]
    adapter.open(1, count + 2)
    normed = adapter(hidden, Board(count + 2).chain(0, count))[0]
    assert_close(normed, tensors["adapter_out"])
    assert_close(engine.logits(normed[None])[0], tensors["adapter_logits"])


def test_the_adapter_run_in_steps_gives_the_references_output_and_cache(recorded):
    import torch

    from specframe import Board

    about, tensors, _, adapter = recorded
    hidden = tensors[f"hidden_{about['exit_layer']}"][None]
    count = hidden.shape[1]
    adapter.open(1, count + 2)
    board, at, parts = Board(count + 2), 0, []
    for width in (10, 1, 1, 2, 1, 1, 1, 2, 2, 1, 2):  # two positions: a catch-up and its root
        part = adapter(hidden[:, at : at + width], board.spans([at], [width]))
        parts.append(part[0])
        at += width
    assert_close(torch.cat(parts), tensors["adapter_out_incremental"])
    layers = sum(name.startswith("adapter_k") for name in tensors)
    for layer in range(layers):
        keys, values = adapter._cache.read(layer, 0, list(range(count)))
        assert_close(keys, tensors[f"adapter_k{layer}"])
        assert_close(values, tensors[f"adapter_v{layer}"])


def test_the_layout_of_the_official_release_loads_and_decodes(tiny):
    from transformers import AutoModelForCausalLM

    base = GOLDEN / "official_layout" / "wide4"
    options = {"adapter": str(GOLDEN / "train" / "wide4-e2"), "threshold": 0.0, "steps": 4}
    decoder = specframe.load(base, options=options)
    assert decoder.setup.options["exit_layer"] == 2
    model = AutoModelForCausalLM.from_pretrained(base)
    prompt = [1, 17, 300, 42]
    result = decoder.decode(prompt, max_new_tokens=24, eos_token_id=())
    assert result.token_ids == tiny.generate(model, prompt, 24)
    assert result.metrics.num_accepted_draft_tokens > 0

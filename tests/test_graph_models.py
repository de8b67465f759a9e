"""Real models on the graph runner: the eager runner's tokens, on its stand-in and on CUDA."""

from functools import partial

import pytest
import torch

import specframe
from specframe._engine.engine import PREFILL_CHUNK
from specframe._engine.runners import fusion as _fusion
from specframe._engine.runners.fusion import Fusion

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("tiny")]
PROMPTS = [[3, 14, 15, 9], [26, 5], [8] * 9, [1, 2, 3, 1, 2, 3, 1, 2], [7]]
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_CUDA])]
STRATEGIES = {
    "none": {},
    "kangaroo": {"threshold": 0.3, "steps": 5},
    "kangaroo-tree": {"tree": True, "tree_top_k": 3, "max_nodes": 20, "steps": 4, "threshold": 0.0},
    "prompt-lookup": {"steps": 4},
    "early-exit": {"exit_layer": 1, "threshold": 0.0},
    "draft-model": {"steps": 3},
    "first": {"drafters": "prompt-lookup:steps=3+kangaroo:adapter={adapter}:threshold=0.3"},
    "longest": {"drafters": "prompt-lookup+early-exit:exit_layer=1:threshold=0.5"},
}
FOLDERS = {"kangaroo": "adapter", "draft-model": "model"}  # the option that names it
STOP_POLICIES = ["fixed", "heuristic", "svip", "adaedl", "adaptive-confidence", "cost-aware"]


@pytest.fixture(scope="module", params=DEVICES)
def device(request):
    return request.param


@pytest.fixture(scope="module")
def model(tiny, device):
    return tiny.model(dtype="float64", max_position_embeddings=700).to(device)


@pytest.fixture(scope="module")
def adapter(tiny, model, tmp_path_factory):
    return tiny.adapter(tmp_path_factory.mktemp("graph") / "adapter", model)


@pytest.fixture(scope="module")
def drafting(tiny, tmp_path_factory):
    model = tiny.model(dtype="float64", num_hidden_layers=1, max_position_embeddings=700)
    return tiny.saved(tmp_path_factory.mktemp("graph") / "draft", model)


@pytest.fixture(scope="module")
def decoders(model, adapter, drafting):
    made, folders = {}, {"adapter": adapter, "model": drafting}

    def make(runner, strategy, stop_policy=None):
        key = runner, strategy, stop_policy
        if key not in made:
            name = "kangaroo" if strategy == "kangaroo-tree" else strategy
            options = dict(STRATEGIES[strategy])
            if name in FOLDERS:
                options[FOLDERS[name]] = str(folders[FOLDERS[name]])
            if "drafters" in options:
                options["drafters"] = options["drafters"].format_map(folders)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SPECFRAME_RUNNER", runner)
                made[key] = specframe.load(
                    model, strategy=name, options=options, stop_policy=stop_policy
                )
        return made[key]

    return make


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "arguments",
    [
        {"max_new_tokens": [1, 9, 30, 17, 24]},
        {"max_new_tokens": 25, "temperature": 0.8, "seed": 5},
        {"max_new_tokens": 40, "eos_token_id": (5, 9, 20)},
        {"max_new_tokens": 40, "stopping_criteria": lambda ids, _: ids.sum(dim=-1) % 7 == 0},
        {"max_new_tokens": 30, "temperature": 1.0, "top_k": 3, "seed": 1, "batch_size": 2},
    ],
    ids=["leaving", "match", "eos", "criteria", "filters"],
)
def test_tokens_are_those_of_the_eager_runner(decoders, strategy, arguments):
    told = [
        [
            (result.token_ids, result.finish_reason, result.metrics.num_accepted_draft_tokens)
            for result in decoders(runner, strategy).decode(PROMPTS, **arguments)
        ]
        for runner in ("eager", "graph")
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize("stop_policy", STOP_POLICIES)
@pytest.mark.parametrize("strategy", ["kangaroo", "kangaroo-tree"])
def test_every_stop_policy_leaves_the_tokens_alone(decoders, strategy, stop_policy):
    told = []
    for runner in ("eager", "graph"):
        decoder = decoders(runner, strategy, stop_policy)
        decoder.reset()
        results = decoder.decode(PROMPTS, max_new_tokens=[1, 9, 30, 17, 24])
        told.append([(result.token_ids, result.finish_reason) for result in results])
    assert told[0] == told[1]


@pytest.mark.parametrize("strategy", ["none", "kangaroo", "kangaroo-tree"])
@pytest.mark.parametrize("length", [PREFILL_CHUNK - 1, PREFILL_CHUNK + 1, 690])
def test_chunks_long_prompts_and_the_context_end(decoders, strategy, length):
    prompt = [(7 * place + 3) % 59 for place in range(length)]
    eager, graph = (
        decoders(runner, strategy).decode(prompt, max_new_tokens=150)
        for runner in ("eager", "graph")
    )
    assert graph.token_ids == eager.token_ids
    assert graph.finish_reason == eager.finish_reason == ("context" if length > 600 else "length")


def test_recordings_are_few_and_serve_the_next_decode(decoders):
    decoder = decoders("graph", "kangaroo")
    recorder = decoder.target.engine._recorder
    counts = []
    for _ in range(2):
        decoder.decode(PROMPTS[0], max_new_tokens=300)
        counts.append(recorder.count)
    assert counts[0] == counts[1] < 120


def test_rejection_and_processors_meet_the_same_logits(model, adapter):
    told = []
    for runner in ("eager", "graph"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPECFRAME_RUNNER", runner)
            decoder = specframe.load(model, options={"adapter": adapter}, verifier="rejection")
        result = decoder.decode(
            PROMPTS[0], max_new_tokens=40, temperature=0.7, repetition_penalty=1.3, seed=3
        )
        told.append(result.token_ids)
    assert told[0] == told[1]


# torch's compiler imports what torch itself calls deprecated.
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
@pytest.mark.parametrize("strategy", ["none", "kangaroo", "kangaroo-tree"])
def test_compiled_layers_say_the_same(decoders, strategy, device, monkeypatch):
    """On a CPU by a compiler that hands back what it was given: the real one takes a minute."""
    if device == "cpu":
        monkeypatch.setattr(_fusion, "Fusion", partial(Fusion, lambda graph, _: graph.forward))
    told = [
        decoders(runner, strategy).decode(PROMPTS[:2], max_new_tokens=12)
        for runner in ("eager", "fused")
    ]
    assert [result.token_ids for result in told[0]] == [result.token_ids for result in told[1]]

"""Kangaroo's tree: the paper's definition taken literally, and plain decoding's tokens."""

import math

import attrs
import pytest

import specframe

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("tiny")]
PROMPT = [3, 14, 15, 9, 26, 5]
EXIT = 2


@attrs.frozen
class Shape:
    first: int
    top_k: int
    max_nodes: int
    steps: int
    threshold: float

    def options(self, adapter):
        return {
            "adapter": adapter,
            "exit_layer": EXIT,
            "tree": True,
            "tree_first_k": self.first,
            "tree_top_k": self.top_k,
            "max_nodes": self.max_nodes,
            "steps": self.steps,
            "threshold": self.threshold,
        }


SHAPES = [
    Shape(first=1, top_k=3, max_nodes=20, steps=5, threshold=0.0),
    Shape(first=4, top_k=4, max_nodes=64, steps=4, threshold=0.0),
    Shape(first=3, top_k=3, max_nodes=9, steps=6, threshold=0.0),  # the last level is cut
    Shape(first=2, top_k=5, max_nodes=64, steps=6, threshold=0.02),
    Shape(first=10, top_k=10, max_nodes=64, steps=3, threshold=0.0),
]


class Oracle:
    """Say what adapter and shallow layers believe after a text, without any cache."""

    def __init__(self, model, folder):
        from specframe_kangaroo import load_checkpoint

        self.model = model
        self.adapter = load_checkpoint(folder).adapter.double()

    def beliefs(self, tokens):
        import torch

        with torch.inference_mode():
            states = self.model(torch.tensor([tokens]), output_hidden_states=True)
            normed = self.adapter(states.hidden_states[EXIT])
            logits = self.model.lm_head(normed)[0, -1]
        return logits.log_softmax(-1).tolist()

    def tree(self, prefix, shape, room):
        """Return the paths of a round's draft: the dynamic tree of the paper, section 4.2."""
        level, nodes, dropped = 1, [], set()
        frontier = [((), 0.0)]
        while level <= min(room, shape.steps):
            width = min(
                shape.first if level == 1 else shape.top_k, shape.max_nodes - 1 - len(nodes)
            )
            if width < 1:
                break
            longer = [
                ((*path, token), score + belief)
                for path, score in frontier
                for token, belief in enumerate(self.beliefs(prefix + list(path)))
            ]
            chosen = sorted(longer, key=lambda entry: -entry[1])[:width]
            parents = {path[:-1] for path, _ in chosen}
            if level > 1:
                childless = [path for path, _ in frontier if path not in parents]
                dropped |= set(childless[len(childless) - len(childless) // 2 :])
            nodes += [path for path, _ in chosen]
            frontier, level = chosen, level + 1
            if math.exp(chosen[0][1]) < shape.threshold:
                break
        return [path for path in nodes if path not in dropped]


def paths_of(round):
    """Return each drafted node as the tokens that lead to it."""
    paths = []
    for token, parent in zip(round.draft_tokens, round.draft_parents, strict=True):
        paths.append(((*paths[parent], token)) if parent >= 0 else (token,))
    return paths


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_draft_is_the_papers_tree(tiny, tmp_path, shape, layers):
    model = tiny.model(dtype="float64")
    folder = tiny.adapter(tmp_path, model, layers=layers)
    oracle = Oracle(model, folder)
    count = 16
    stream = specframe.load(model, options=shape.options(folder)).stream(
        PROMPT, max_new_tokens=count
    )
    text = list(PROMPT)
    accepted = 0
    for round in stream:
        if len(text) > len(PROMPT):
            room = len(PROMPT) + count - len(text) - 1
            assert paths_of(round) == oracle.tree(text, shape, room)
        text += round.committed
        accepted += round.accepted
    assert accepted > 0
    assert text[len(PROMPT) :] == tiny.generate(model, PROMPT, count)


@pytest.mark.parametrize("family", ["mistral", "qwen3"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_tree_decodes_what_generate_does(tiny, tmp_path, family, shape):
    changes = {"sliding_window": 7} if family == "mistral" else {}
    model = tiny.model(family, dtype="float64", **changes)
    decoder = specframe.load(model, options=shape.options(tiny.adapter(tmp_path, model)))
    for count in (1, 2, 3, 30):
        result = decoder.decode(PROMPT, max_new_tokens=count)
        assert result.token_ids == tiny.generate(model, PROMPT, count)


@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
@pytest.mark.parametrize("settings", [{}, {"temperature": 0.8, "seed": 7}])
def test_trees_of_a_batch_are_those_of_single_rows(tiny, tmp_path, shape, settings):
    model = tiny.model(dtype="float64")
    decoder = specframe.load(model, options=shape.options(tiny.adapter(tmp_path, model)))
    prompts = [PROMPT, [8], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [40, 2]]
    limits = [12, 20, 7, 16]
    together = decoder.decode(prompts, max_new_tokens=limits, **settings)
    for prompt, limit, ours in zip(prompts, limits, together, strict=True):
        alone = decoder.decode(prompt, max_new_tokens=limit, **settings)
        assert ours.token_ids == alone.token_ids
        assert [paths_of(round) for round in ours.rounds] == [
            paths_of(round) for round in alone.rounds
        ]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_sampled_tree_says_what_plain_sampling_says(tiny, tmp_path, shape):
    model = tiny.model(dtype="float64")
    decoder = specframe.load(model, options=shape.options(tiny.adapter(tmp_path, model)))
    for settings in ({"temperature": 0.7}, {"temperature": 1.2, "top_k": 9, "top_p": 0.9}):
        plain = decoder.plain().decode(PROMPT, seed=3, max_new_tokens=24, **settings)
        result = decoder.decode(PROMPT, seed=3, max_new_tokens=24, **settings)
        assert result.token_ids == plain.token_ids
        assert result.metrics.num_accepted_draft_tokens > 0


def test_a_drafter_that_knows_the_target_is_always_right_when_sampling(tiny, tmp_path):
    """With the target's own noise, the best path is what the target says if both agree on p."""
    import torch

    model = tiny.model(dtype="float64", num_hidden_layers=3)
    for layer in model.model.layers[1:]:  # what comes after the exit adds nothing
        layer.self_attn.o_proj.weight.data.zero_()
        layer.mlp.down_proj.weight.data.zero_()
    folder = tiny.adapter(tmp_path, model, exit_layer=1)
    from specframe_kangaroo import load_checkpoint, save_checkpoint

    checkpoint = load_checkpoint(folder)
    for block in checkpoint.adapter.layers:
        torch.nn.init.zeros_(block.self_attn.o_proj.weight)
    save_checkpoint(folder, checkpoint)
    for tree in (False, True):
        options = {"adapter": folder, "exit_layer": 1, "tree": tree, "steps": 3, "threshold": 0}
        result = specframe.load(
            model, options=options | ({"tree_top_k": 2} if tree else {})
        ).decode(PROMPT, max_new_tokens=41, temperature=1.0, seed=5)
        assert [round.accepted for round in result.rounds] == [3] * 10


def test_the_thresholds_default_follows_the_mode(tiny, tmp_path):
    model = tiny.model()
    folder = tiny.adapter(tmp_path, model, exit_layer=2)
    assert specframe.load(model, options={"adapter": folder}).setup.options["threshold"] == 0.6
    options = {"adapter": folder, "tree": True}
    assert specframe.load(model, options=options).setup.options["threshold"] == 0.4


def test_a_probability_below_the_threshold_ends_a_tree(tiny, tmp_path):
    model = tiny.model(dtype="float64")
    shape = Shape(first=3, top_k=3, max_nodes=64, steps=6, threshold=1.1)
    decoder = specframe.load(model, options=shape.options(tiny.adapter(tmp_path, model)))
    rounds = decoder.decode(PROMPT, max_new_tokens=12).rounds
    assert {len(round.draft_tokens) for round in rounds[:-1]} == {3}
    assert all(round.draft_parents == [-1] * len(round.draft_tokens) for round in rounds)


@pytest.mark.parametrize("tree", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.15])
def test_drafting_stops_by_probabilities_without_temperature(tiny, tmp_path, tree, threshold):
    model = tiny.model(dtype="float64")
    folder = tiny.adapter(tmp_path, model)
    oracle = Oracle(model, folder)
    shape = Shape(first=3, top_k=3, max_nodes=64, steps=4, threshold=threshold)
    decoder = specframe.load(model, options=shape.options(folder) | {"tree": tree})
    result = decoder.decode(PROMPT, max_new_tokens=14, temperature=0.3, seed=1)
    text = [*PROMPT, result.token_ids[0]]
    for round in result.rounds:
        room = min(shape.steps, len(PROMPT) + 14 - len(text) - 1)
        paths = paths_of(round)
        tops = [math.exp(max(oracle.beliefs(text + list(path[:-1])))) for path in paths]
        assert round.draft_confidences == pytest.approx(tops, rel=1e-4)
        best = best_by_level(oracle, text, paths) if tree else dict(enumerate(tops, 1))
        went_on = [best[level] >= threshold for level in sorted(best)[:-1]]
        assert all(went_on)
        assert max(best, default=0) == room or best[max(best)] < threshold
        text += round.committed


def best_by_level(oracle, text, paths):
    """Return the probability of the most probable path of each level."""
    best = {}
    for path in paths:
        logs = [oracle.beliefs(text + list(path[:at]))[token] for at, token in enumerate(path)]
        best[len(path)] = max(best.get(len(path), 0.0), math.exp(sum(logs)))
    return best


@pytest.mark.parametrize("tree", [False, True])
def test_rejection_takes_chains_with_q_and_trees_without(tiny, tmp_path, tree):
    model = tiny.model(dtype="float64")
    options = SHAPES[1].options(tiny.adapter(tmp_path, model)) | {"tree": tree}
    decoder = specframe.load(model, options=options, verifier="rejection")
    drawn = decoder.decode(PROMPT, max_new_tokens=24, temperature=0.9, seed=2, top_k=8)
    assert len(drawn.token_ids) == 24
    assert drawn.metrics.num_accepted_draft_tokens > 0
    assert decoder.decode(PROMPT, max_new_tokens=24).token_ids == tiny.generate(model, PROMPT, 24)


def test_what_a_filter_rules_out_takes_no_place_in_a_tree(tiny, tmp_path):
    model = tiny.model(dtype="float64")
    decoder = specframe.load(model, options=SHAPES[1].options(tiny.adapter(tmp_path, model)))
    result = decoder.decode(PROMPT, max_new_tokens=20, temperature=0.8, seed=2, top_k=1)
    assert max(len(round.draft_tokens) for round in result.rounds) == 4  # one node a level
    plain = decoder.plain().decode(PROMPT, max_new_tokens=20, temperature=0.8, seed=2, top_k=1)
    assert result.token_ids == plain.token_ids


@pytest.mark.parametrize("method", ["before", "after"])
def test_an_answer_of_a_stop_policy_to_a_tree_is_shown_with_its_line(tiny, tmp_path, method):
    answers = {method: lambda *_: [False]}
    policy = type("Bad", (specframe.StopPolicy,), answers)()
    model = tiny.model(dtype="float64")
    options = SHAPES[0].options(tiny.adapter(tmp_path, model))
    decoder = specframe.load(model, options=options, stop_policy=policy)
    with pytest.raises(specframe.PluginError) as caught:
        decoder.decode(PROMPT, max_new_tokens=12)
    said = f"stop policy Bad: {method} must return None or a bool tensor [1] on cpu"
    assert str(caught.value).startswith(said)

"""What tests of exact mode share: models in it on any runner, drafters that follow a script."""

from functools import partial

import attrs
import pytest

import specframe
from specframe import Capabilities, Drafter, SequenceDrafter, StopPolicy
from specframe._engine.runners import fusion
from specframe._engine.runners.fusion import Fusion

ODD = {
    "hidden_size": 42,
    "intermediate_size": 37,
    "vocab_size": 59,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 24,
}
SLIDING = {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 2}
MODELS = {
    "llama": ("llama", {}),
    "llama-odd-widths": ("llama", ODD),
    "mistral-window": ("mistral", {"sliding_window": 7}),
    "qwen3-window": ("qwen3", SLIDING | {"head_dim": 24}),
}
# right tokens, then wrong ones, of one round's chain after another
ROUNDS = [(3, 1), (0, 2), (0, 0), (20, 0), (5, 12), (17, 3), (1, 0)]
PROMPTS = [[7], [(7 * place * place + 11 * place + 3) % 59 for place in range(14)]]


class Case:
    """One model in exact mode, and what plain decoding says in it.

    The compiler of runner ``fused`` hands back what it is given on a CPU: the real one takes long.
    """

    def __init__(self, tiny, folder, name, dtype, way, *, runner="eager", device="cpu"):
        family, changes = MODELS[name]
        self._tiny, self._folder = tiny, folder
        self._model = tiny.model(family, dtype=dtype, **changes).to(device)
        source = self._model if way == "handed over" else tiny.saved(folder / "model", self._model)
        asked = {} if way == "handed over" else {"dtype": dtype, "device": device}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPECFRAME_RUNNER", runner)
            if device == "cpu":
                patch.setattr(fusion, "Fusion", partial(Fusion, lambda graph, _: graph.forward))
            self.decoder = specframe.load(source, strategy="none", exact=True, **asked)
        self._told = {}

    def plain(self, prompt, count, *, temperature=0.0, **settings):
        """Return what a fresh decoder says, so that nothing was decoded before."""
        asked = {"temperature": temperature, **settings}
        key = (tuple(prompt), count, *asked.items())
        if key not in self._told:
            with self.decoder.plain() as plain:
                self._told[key] = ask(plain, prompt, count, **asked)
        return self._told[key]

    def with_drafter(self, drafter):
        return self._with(drafter, StopPolicy(), {})

    def kangaroo(self, verifier=None, **options):
        folder = self._folder / "adapter"
        adapter = str(folder)
        if not folder.exists():
            adapter = self._tiny.adapter(folder, self._model)
        return self._with("kangaroo", None, {"adapter": adapter, **options}, verifier)

    def with_strategy(self, name, options):
        return self._with(name, None, options)

    def _with(self, strategy, stop_policy, options, verifier=None):
        return beside(self.decoder, strategy, stop_policy, options, verifier)


def beside(decoder, strategy, stop_policy, options, verifier=None):
    """Return another strategy on a decoder's weights, which need not be probed again."""
    from specframe._assembly.assembly import assemble
    from specframe._decoder.decoder import Decoder
    from specframe._plugins.discovery import load_registry

    loaded = decoder.loaded
    twin = attrs.evolve(loaded, engine=loaded.engine.twin())
    return Decoder(twin, assemble(load_registry(), strategy, verifier, stop_policy, options))


def ask(decoder, prompt, count, **settings):
    asked = {"max_new_tokens": count, "eos_token_id": (), "output_logits": True}
    return decoder.decode(prompt, **asked, **settings)


def check_same(ours, theirs):
    import torch

    assert ours.token_ids == theirs.token_ids
    assert ours.logits.dtype == theirs.logits.dtype
    assert torch.equal(ours.logits, theirs.logits)


class Scripted(SequenceDrafter):
    """Follow a script: in each round some tokens right, then some wrong."""

    def __init__(self, script, rounds):
        self._script, self._rounds, self._round = script, rounds, -1

    def guess(self, tokens, room):
        self._round += 1
        right, wrong = self._rounds[self._round % len(self._rounds)]
        at = len(tokens)
        following = self._script[at + right : at + right + wrong]
        return [*self._script[at : at + right], *((token + 1) % 59 for token in following)]


class ScriptedTree(Drafter):
    """Grow the script's tokens among wrong siblings: ``before`` and ``after`` of them a level.

    ``exit``: layers that run while the tree grows; None leaves all of them to the target.
    """

    capabilities = Capabilities(tree=True, max_nodes=64)

    def __init__(self, script, rounds, exit=None):
        self._script, self._rounds, self._round = script, rounds, -1
        self._exit = exit
        self.paths = []

    def start(self, target, rows, captured):
        self._target = target

    def propose(self, rows, stop, sampler):
        import torch

        self._round += 1
        tree = self._target.tree(rows)
        self._run(tree.root)
        ((at, room),) = zip(rows.lengths, rows.rooms, strict=True)
        levels = self._rounds[self._round % len(self._rounds)]
        newest, width = 0, 1
        following = self._script[at : at + room]
        for (before, after), token in zip(levels, following, strict=False):
            beside = [(token + miss) % 59 for miss in range(1, before + after + 1)]
            level = [*beside[:before], token, *beside[before:]]
            tokens = torch.tensor([level], device=self._target.engine.device)
            self._run(tree.add(tokens, [[newest] * len(level)]))
            newest, width = width + before, width + len(level)
        return tree.draft()

    def _run(self, nodes):
        if self._exit is not None:
            self._target.run(nodes, 0, self._exit)

    def update(self, rows, draft, scores, commit):
        self.paths.append(commit.path_lists[0])


LEVELS = [
    [(1, 1), (2, 0), (0, 2), (1, 0)],
    [(0, 1), (0, 1), (3, 0)],
    [],
    [(0, 3), (1, 0)],
    [(2, 2)] * 7,
    [(0, 0)] * 3,
]

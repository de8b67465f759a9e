"""A state machine on the slot cache: after any drafts, it holds what a fresh prefill would."""

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from specframe import Board
from specframe._engine.runners.graph import GraphEngine
from specframe._engine.runners.recording import Recorder, StandIn
from specframe.testing._hypothesis_strategies import parent_lists
from table_drafters import way_up
from tiny_split import VOCAB, TinyModel

SLOTS = 40
LAYERS = 3
EXACT = {"rtol": 0, "atol": 1e-10}
tokens_of = st.integers(0, VOCAB - 1)
prompts_of = st.lists(st.lists(tokens_of, min_size=1, max_size=7), min_size=1, max_size=3)
MODEL = TinyModel()


class CacheMachine(RuleBasedStateMachine):
    """Keep for each row the tokens that its cache must hold, and nothing else."""

    new_engine = MODEL.engine

    @initialize(
        prompts=st.lists(st.lists(tokens_of, min_size=1, max_size=7), min_size=1, max_size=3)
    )
    def fill(self, prompts):
        self.engine, self.board = self.new_engine(), Board(SLOTS)
        self.engine.open(len(prompts), SLOTS)
        self.rows = [list(prompt) for prompt in prompts]
        for row, prompt in enumerate(prompts):
            self.engine.fill(row, prompt)

    @property
    def bases(self):
        return [len(row) for row in self.rows]

    def has_room(self):
        return max(self.bases) < SLOTS - 12

    @precondition(has_room)
    @rule(data=st.data(), exit=st.integers(0, LAYERS), shuffled=st.booleans())
    def draft_and_accept(self, data, exit, shuffled):
        """Score trees, resumed at an exit layer, and commit a path of each, down to any depth."""
        trees = [self.draw_tree(data, base, shuffled) for base in self.bases]
        placement, _ = self.score(trees, exit)
        nodes = [data.draw(st.integers(0, len(tree[0]) - 1)) for tree in trees]
        ways = [way_up(tree[1], node)[::-1] for tree, node in zip(trees, nodes, strict=True)]
        sources = [[tree[2][node] for node in way] for tree, way in zip(trees, ways, strict=True)]
        self.commit(sources, data.draw(st.integers(0, 2)))
        for row, tree, way in zip(self.rows, trees, ways, strict=True):
            row += [tree[0][node] for node in way]
        assert placement.reach <= SLOTS

    def commit(self, sources, more):
        """Gather as the host does, or as a device does: padded by ``more`` than the longest."""
        counts = torch.tensor(list(map(len, sources)))
        if not more:
            self.engine.gather(sources, self.bases)
            return
        width = max(counts) + more - 1
        padded = torch.tensor([row + [0] * (width - len(row)) for row in sources])
        self.engine.move(padded, torch.tensor(self.bases), counts)

    @precondition(has_room)
    @rule(data=st.data(), lo=st.integers(1, LAYERS))
    def draft_with_lower_layers_and_forget(self, data, lo):
        trees = [self.draw_tree(data, base, shuffled=True) for base in self.bases]
        self.run(trees, 0, lo)

    @rule(data=st.data())
    def roll_back(self, data):
        for row in self.rows:
            del row[data.draw(st.integers(1, len(row))) :]

    @precondition(lambda self: len(self.rows) > 1)
    @rule(data=st.data())
    def let_rows_leave(self, data):
        places = list(range(len(self.rows)))
        kept = sorted(data.draw(st.lists(st.sampled_from(places), min_size=1, unique=True)))
        self.engine.keep(kept)
        self.rows = [self.rows[place] for place in kept]

    @rule(garbage=st.sampled_from([1e6, -1e6]))
    def spoil_what_nobody_may_see(self, garbage):
        for row, base in enumerate(self.bases):
            self.engine.cache._storage[:, :, row, :, base:] = garbage

    @invariant()
    def the_cache_holds_what_a_fresh_prefill_holds(self):
        for place, row in enumerate(self.rows):
            for layer, (key, value, _) in enumerate(MODEL.states(row)):
                ours = self.engine.cache.read(layer, place, list(range(len(row))))
                for part, expected in zip(ours, (key, value), strict=True):
                    torch.testing.assert_close(part, expected.transpose(0, 1), **EXACT)

    def draw_tree(self, data, base, shuffled):
        parents = data.draw(parent_lists(6))
        tokens = [data.draw(tokens_of) for _ in parents]
        free = list(range(base + 1, base + 10))
        places = data.draw(st.permutations(free)) if shuffled else free
        return tokens, parents, [base, *places[: len(parents) - 1]]

    def run(self, trees, lo, hi, hidden=None):
        tokens, parents, slots = map(list, zip(*trees, strict=True))
        placement = self.board.trees(self.bases, parents, slots)
        if hidden is None:
            width = max(map(len, tokens))
            padded = [row + [0] * (width - len(row)) for row in tokens]
            hidden = self.engine.embed(torch.tensor(padded))
        return placement, self.engine.run(hidden, placement, lo, hi)[0]

    def score(self, trees, exit):
        """Run all layers in two passes and compare every node with the text that leads to it."""
        _, hidden = self.run(trees, 0, exit)
        placement, hidden = self.run(trees, exit, LAYERS, hidden)
        for place, (tokens, parents, _) in enumerate(trees):
            for node in range(len(tokens)):
                way = way_up(parents, node)[::-1]
                text = self.rows[place] + [tokens[above] for above in way]
                expected = MODEL.states(text)[-1][2][-1]
                torch.testing.assert_close(hidden[place, node], expected, **EXACT)
        return placement, hidden


class GraphMachine(CacheMachine):
    """Do the same on passes of static shapes, in one engine that serves decode after decode."""

    serving = GraphEngine(MODEL.engine().split, Recorder(StandIn()))

    def new_engine(self):
        return self.serving


TestGraphMachine = pytest.mark.slow(GraphMachine.TestCase)
TestGraphMachine.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)
TestCacheMachine = pytest.mark.slow(CacheMachine.TestCase)
TestCacheMachine.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)

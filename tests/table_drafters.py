"""Drafters that do what a plan says: right or wrong tokens, in trees of any shape.

Plans are plain data that Hypothesis draws and shrinks. A drafter reads the target's answer off the
Table, so it can be right as often as its plan wants.
"""

import attrs
import torch
from hypothesis import strategies as st

from specframe import Draft, Drafter, Needs, StopPolicy, Stops
from table_engine import Table


@attrs.frozen
class Guess:
    """Plan one node: ``above`` counts back from the newest node that may still have children.

    ``miss`` 0 drafts what the target says there, other numbers a token so far beside it.
    """

    above: int = 0
    miss: int = 0
    candidate: bool = True


@attrs.frozen
class Growth:
    """Plan how a self-drafter makes its trees.

    ``exit`` is the layer it runs to, ``chunk`` the nodes it adds at a time; ``lazy`` runs layers
    after all is added, ``halves`` in two passes; ``prune`` drops those nodes; ``drops_exit`` and
    ``skips_last`` leave the target nothing to resume from.
    """

    exit: int = 1
    chunk: int = 1
    lazy: bool = False
    halves: bool = False
    prune: tuple[int, ...] = ()
    drops_exit: bool = False
    skips_last: bool = False


def right(count):
    """Plan a chain of ``count`` tokens that the target will accept."""
    return [Guess()] * count


def grow(table, tokens, room, plan):
    """Return the tree of a plan after ``tokens``: its tokens, parents and candidates."""
    nodes, parents, allowed, paths = [tokens[-1]], [-1], [True], [tuple(tokens)]
    for guess in plan:
        fertile = [node for node, path in enumerate(paths) if len(path) - len(tokens) < room]
        if not fertile:
            break
        parent = fertile[-1 - guess.above % len(fertile)]
        nodes.append((table.next(paths[parent]) + guess.miss) % table.vocab)
        parents.append(parent)
        allowed.append(guess.candidate)
        paths.append((*paths[parent], nodes[-1]))
    return nodes, parents, allowed


class Planned(Drafter):
    """Follow one plan a round, cycled, shifted by the row's index; remember what came back."""

    def __init__(self, table, plans, *, taps=()):
        self.table, self.plans = table, plans
        self.needs = Needs(taps=frozenset(taps), normed=bool(taps), prompt=bool(taps))
        self.rounds = 0
        self.seen, self.runs = [], []

    def start(self, target, rows, captured):
        self.target, self.prompted = target, captured

    def trees(self, rows):
        plans = [
            self.plans[(self.rounds + row.index) % len(self.plans)] if self.plans else []
            for row in rows.active
        ]
        self.rounds += 1
        self.before = [tuple(row.tokens) for row in rows.active]
        return [
            grow(self.table, row.tokens, row.room, plan)
            for row, plan in zip(rows.active, plans, strict=True)
        ]

    def update(self, rows, draft, scores, commit):
        self.seen.append((self.before, draft, scores, commit))


class TreeDrafter(Planned):
    """Hand over trees as they are, with ``surplus`` columns of padding and candidates."""

    def __init__(self, table, plans, *, surplus=0, **settings):
        super().__init__(table, plans, **settings)
        self.surplus = surplus

    def propose(self, rows, stop, sampler):
        trees = self.trees(rows)
        width = max(len(tokens) for tokens, *_ in trees) + self.surplus
        columns = [
            [values + [fill] * (width - len(values)) for values in part]
            for part, fill in zip(zip(*trees, strict=True), (0, 0, True), strict=True)
        ]
        return Draft(
            tokens=torch.tensor(columns[0]),
            parents=torch.tensor(columns[1]),
            sizes=torch.tensor([len(tokens) for tokens, *_ in trees]),
            candidates=torch.tensor(columns[2]),
        )


class SelfDrafter(Planned):
    """Grow trees with a TreeBuilder, running the target's own first layers on every node."""

    def __init__(self, table, plans, growth, **settings):
        super().__init__(table, plans, **settings)
        self.growth = attrs.evolve(growth, exit=min(growth.exit, table.layers))

    def propose(self, rows, stop, sampler):
        growth, tree = self.growth, self.target.tree(rows)
        added = [tree.root, *self.additions(tree, self.trees(rows))]
        if growth.lazy:
            for nodes in added[: -1 if growth.skips_last else None]:
                self.run_layers(nodes)
        draft = self.pruned(tree, rows).draft()
        return attrs.evolve(draft, exit=None) if growth.drops_exit else draft

    def additions(self, tree, planned):
        if not self.growth.lazy:
            self.run_layers(tree.root)
        at, count = 1, self.growth.chunk
        self.sizes = [1] * len(planned)
        while count:
            active = [
                size == at and len(tokens) >= at + count
                for size, (tokens, *_) in zip(self.sizes, planned, strict=True)
            ]
            if not any(active):
                count -= 1
                continue
            nodes = self.add(tree, planned, active, slice(at, at + count))
            self.sizes = [
                size + count * goes_on for size, goes_on in zip(self.sizes, active, strict=True)
            ]
            at += count
            if not self.growth.lazy:
                self.run_layers(nodes)
            yield nodes

    def add(self, tree, planned, active, part):
        tokens = [
            nodes[part] if goes_on else [0] * (part.stop - part.start)
            for (nodes, *_), goes_on in zip(planned, active, strict=True)
        ]
        parents = [
            above[part] if goes_on else []
            for (_, above, _), goes_on in zip(planned, active, strict=True)
        ]
        chains = all(above in ([], [part.start - 1]) for above in parents)
        return tree.add(torch.tensor(tokens), None if chains else parents, active=active)

    def run_layers(self, nodes):
        half = self.growth.exit // 2 if self.growth.halves else 0
        for lo, hi in [(0, half), (half, self.growth.exit)][0 if half else 1 :]:
            self.target.run(nodes, lo, hi)
            self.runs.append((lo, hi))

    def pruned(self, tree, rows):
        for row, size in enumerate(self.sizes):
            if size > 1 and self.growth.prune:
                tree.prune(row, [1 + node % (size - 1) for node in self.growth.prune])
        return tree


class PlannedLimits(StopPolicy):
    """Give each row the limits of a plan, cycled; none for an empty plan."""

    def __init__(self, limits):
        self.limits, self.rounds = limits, -1

    def limit(self, rows):
        if not self.limits:
            return super().limit(rows)
        self.rounds += 1
        return [self.limits[(self.rounds + row.index) % len(self.limits)] for row in rows.active]


def longest_match(table, before, draft, place):
    """Return the most candidates on a path from the root that the target agrees with."""
    tokens, parents = draft.token_lists[place], draft.parent_lists[place]

    def depth(node, path):
        depths = [0]
        for child, parent in enumerate(parents):
            allowed = draft.candidates is None or bool(draft.candidates[place, child])
            if parent == node and allowed and tokens[child] == table.next(path):
                depths.append(1 + depth(child, (*path, tokens[child])))
        return max(depths)

    return depth(0, before)


def way_up(parents, node):
    """Return a node and all above it, the definition of an ancestor taken literally."""
    return [] if node < 0 else [node, *way_up(parents, parents[node])]


tables = st.builds(Table, layers=st.integers(1, 3), salt=st.integers(0, 3))
guesses = st.builds(
    Guess,
    above=st.sampled_from([0, 0, 0, 1, 2, 3]),
    miss=st.sampled_from([0, 0, 0, 1, 2]),
    candidate=st.sampled_from([True, True, True, False]),
)
plans = st.lists(st.lists(guesses, max_size=9), max_size=3)
prompts = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), min_size=1, max_size=3)
limits = st.lists(st.integers(0, 5), max_size=3)
growths = st.builds(
    Growth,
    exit=st.integers(1, 3),
    chunk=st.integers(1, 3),
    lazy=st.booleans(),
    halves=st.booleans(),
    prune=st.lists(st.integers(0, 8), max_size=2).map(tuple),
    drops_exit=st.sampled_from([False, False, True]),
    skips_last=st.booleans(),
)


@st.composite
def stops(draw, prompt_length=6):
    """Draw budgets, contexts and end tokens; the context leaves room for one token at least."""
    return Stops(
        max_new_tokens=draw(st.integers(1, 14)),
        context=draw(st.sampled_from([1000, 1000, prompt_length + 1, prompt_length + 5])),
        eos=frozenset(draw(st.sampled_from([(), (), (5,), (1, 4)]))),
        criteria=draw(st.sampled_from([(), (), (seven_divides,)])),
    )


def seven_divides(tokens):
    """Stop where the tokens, prompt included, add up to a multiple of seven."""
    return sum(tokens) % 7 == 0

"""What plain sampling says of a Table, by its definition, and drafters that know it.

A ``Voice`` needs neither loop nor sampler: argmax of what processors and temperature make of the
logits after a prefix, plus the noise of the new token's index. Where it replaces a Table, a
drafter's plan is right or wrong about the *sampled* token.
"""

import attrs
import torch

from specframe import Drafter, Law, Sampler, Sampling, StopPolicy, Target
from specframe import rounds as loop
from specframe._sampling.noise import Key, Purpose, gumbels
from specframe_verifiers._match import GreedyVerifier, MatchVerifier
from table_drafters import SelfDrafter, TreeDrafter, grow
from table_engine import Table, TableEngine, make_rows


def penalty(tokens, scores):
    """Take half off the score of a token that occurs an odd number of times in the prefix."""
    return [score / 2 if tokens.count(at) % 2 else score for at, score in enumerate(scores)]


def sum_bans(tokens, scores):
    """Ban the token that the sum of all before it names."""
    banned = sum(tokens) % len(scores)
    return [float("-inf") if at == banned else score for at, score in enumerate(scores)]


def longer_is_bolder(tokens, scores):
    """Spread the scores by the length of the prefix."""
    return [score * (1 + len(tokens) % 3) for score in scores]


def as_processor(rule):
    """Return a rule on lists as a processor of tensors, as transformers calls them."""

    def process(ids, scores):
        assert ids.shape[0] == scores.shape[0] == 1
        scores[:] = torch.tensor([rule(ids[0].tolist(), scores[0].tolist())], dtype=scores.dtype)
        return scores

    return process


@attrs.frozen
class Voice:
    """Say what follows a sequence of one row, by the definition of sampling with a seed."""

    table: Table
    seed: int
    prompt_length: int
    temperature: float = 1.0
    rules: tuple = ()

    @property
    def vocab(self):
        return self.table.vocab

    def shaped(self, tokens):
        """Return the logits that follow ``tokens``, after rules and temperature."""
        scores = self.table.logits(tokens)
        for rule in self.rules:
            scores = rule(list(tokens), scores)
        return [score / (self.temperature or 1) for score in scores]

    def next(self, tokens):
        """Return the token that follows, the lowest of those that tie."""
        scores = self.shaped(tokens)
        if self.temperature:
            key = Key(self.seed, Purpose.COUPLE, len(tokens) - self.prompt_length)
            noise = gumbels(key, len(scores)).tolist()
            scores = [score + more for score, more in zip(scores, noise, strict=True)]
        return scores.index(max(scores))

    def continuation(self, stops, prompt):
        """Return what plain sampling says, and why it ends."""
        return Table.continuation(self, stops, prompt)


class Voiced:
    """Follow plans about what the rows' voices say; ``voices`` are by the row's index."""

    voices = ()

    def trees(self, rows):
        plans = [
            self.plans[(self.rounds + row.index) % len(self.plans)] if self.plans else []
            for row in rows.active
        ]
        self.rounds += 1
        self.before = [(row.index, tuple(row.tokens)) for row in rows.active]
        return [
            grow(self.voices[row.index], row.tokens, row.room, plan)
            for row, plan in zip(rows.active, plans, strict=True)
        ]


class VoicedTrees(Voiced, TreeDrafter):
    """Hand over trees as they are."""


class VoicedSelf(Voiced, SelfDrafter):
    """Grow trees with a TreeBuilder."""


class Guesser(Drafter):
    """Draft chains of what the sampler chooses from ``logits_of(tokens)``.

    ``by_rank`` takes the top of ``ranked`` instead, as drafters of trees do. Remembers each q.
    """

    def __init__(self, logits_of, levels=4, *, by_rank=False):
        self.logits_of, self.levels, self.by_rank = logits_of, levels, by_rank
        self.drawn = []

    def start(self, target, rows, captured):
        self.target = target

    def propose(self, rows, stop, sampler):
        tree = self.target.tree(rows)
        for level in range(min(self.levels, max(rows.rooms))):
            active = [room > level for room in rows.rooms]
            prefixes = [
                [*row.tokens, *tree.path_tokens(place, level)]
                for place, row in enumerate(rows.active)
            ]
            logits = torch.tensor([self.logits_of(prefix) for prefix in prefixes]).double()
            tokens, q = self.choose(rows, tree, level, logits, sampler)
            self.drawn.append((prefixes, active, tokens.tolist(), q))
            tree.add(tokens[:, None], active=active, probs=None if q is None else q[:, None])
        return tree.draft(Law.IID if sampler.wants_q else Law.DETERMINISTIC)

    def choose(self, rows, tree, level, logits, sampler):
        if not self.by_rank:
            return sampler.draft(rows, tree, level, logits)
        nodes = [[level]] * len(rows)
        return sampler.ranked(rows, tree, nodes, logits[:, None])[:, 0].argmax(dim=-1), None


def make_seeded(prompts, stops, seeds):
    """Return rows, each with its own seed."""
    rows = make_rows(prompts, stops)
    for row, seed in zip(rows.active, seeds, strict=False):
        row.seed = seed
    return rows


def sample(table, drafter, rows, sampling, *, verifier=None, stop=None, extra_nodes=16):
    """Decode ``rows`` with a TableEngine; return its rounds."""
    if verifier is None:
        verifier = GreedyVerifier() if sampling.is_greedy else MatchVerifier()
    target = Target(TableEngine(table), extra_nodes=extra_nodes)
    drafter.prepare(target)
    sampler = Sampler(sampling, wants_q=verifier.needs_q)
    return list(loop(target, drafter, verifier, stop or StopPolicy(), sampler, rows))


def voices_of(table, rows, sampling, rules=()):
    """Return a voice for each row."""
    return [
        Voice(table, row.seed, row.prompt_length, sampling.temperature, tuple(rules))
        for row in rows.active
    ]


def sampling_of(temperature, rules=()):
    """Return Sampling with the rules as processors."""
    return Sampling(temperature, processors=tuple(map(as_processor, rules)))

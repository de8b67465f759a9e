"""Checks of a verifier: the law of the output, exactly; and the way down a tree."""

from __future__ import annotations

from typing import Any

import attrs
import torch
from hypothesis import strategies as st

from specframe import Draft, Law, Sampler, Sampling, Scores, Stops, Verdict, Verifier
from specframe.testing._check_result import Broken, NotApplicable
from specframe.testing._enumeration import BranchingSampler, Coins, outcomes
from specframe.testing._hypothesis_strategies import Probs, draft_trees, prob_pairs
from specframe.testing._oracle import CONTEXT
from specframe.testing._rows import make_rows
from specframe.testing._strategy_under_test import for_all

VOCAB = 3
EXACT = 1e-12
SHAPES = ([-1, 0], [-1, 0, 1], [-1, 0, 0], [-1, 0, 0, 0], [-1, 0, 0, 1], [-1, 0, 1, 1])
CHAINS = SHAPES[:2]
POOL = 3  # different pairs in one trial
# Siblings with one token, the second with a child: too rare among random trees to wait for.
TWINS = Draft(
    tokens=torch.tensor([[0, 1, 1, 1]]),
    parents=torch.tensor([[-1, 0, 0, 2]]),
    sizes=torch.tensor([4]),
)


@attrs.define(eq=False)
class VerifierSubject:
    """Hold the verifier under test, and count the examples that are run."""

    name: str
    verifier: Verifier
    max_examples: int = 20
    seed: int = 0
    examples: int = 0
    shrinks: bool = True

    def needs_distribution(self) -> None:
        """Raise NotApplicable where the verifier promises nothing of the kind."""
        if self.verifier.guarantee == "none":
            raise NotApplicable("the verifier declares the guarantee 'none'")
        if not self.verifier.samples:
            raise NotApplicable("the verifier declares that it does not sample")

    def needs_q(self) -> None:
        """Raise NotApplicable where drawn drafts are never shown to the verifier."""
        if not self.verifier.needs_q:
            raise NotApplicable("the verifier does not declare 'needs_q': drafts are deterministic")


def check_law_of_chains(subject: VerifierSubject) -> None:
    """Of drawn chains, the output must have the target's law, exactly."""
    subject.needs_q()
    _check_law(subject, Law.IID, CHAINS)


def check_law_of_independent_siblings(subject: VerifierSubject) -> None:
    """Of trees whose siblings were drawn independently, the output must have the target's law."""
    subject.needs_q()
    _check_law(subject, Law.IID, SHAPES)


def check_law_of_siblings_without_replacement(subject: VerifierSubject) -> None:
    """Of trees drawn without replacement, the output must have the target's law."""
    subject.needs_q()
    _check_law(subject, Law.WITHOUT_REPLACEMENT, SHAPES)


def check_law_of_chosen_trees(subject: VerifierSubject) -> None:
    """Of trees that nobody drew, the output must have the target's law."""
    _check_law(subject, Law.DETERMINISTIC, SHAPES)


def _check_law(subject: VerifierSubject, law: Law, shapes: Any) -> None:
    subject.needs_distribution()
    few = st.lists(prob_pairs(VOCAB), min_size=POOL, max_size=POOL)
    tokens = st.lists(st.integers(0, VOCAB - 1), min_size=4, max_size=4)

    @for_all(subject, few, st.sampled_from(shapes), tokens)
    def holds(pairs: list[tuple[Probs, Probs]], parents: list[int], chosen: list[int]) -> None:
        trial = _Trial(subject.verifier, pairs, law, parents, chosen)
        worst, at = trial.distance()
        if worst > EXACT:
            raise Broken(
                f"with a tree of parents {parents}, law {law.name}, p and q {pairs[0]} at the root "
                f"and {pairs[1:]} below, the probability of output {list(at)} is {worst:.3g} "
                "away from the target's"
            )


@attrs.frozen(eq=False)
class _Trial:
    """Draw a tree, verify it, and complete the output from the target: once for each outcome."""

    verifier: Verifier
    pairs: list[tuple[Probs, Probs]]
    law: Law
    parents: list[int]
    chosen: list[int]

    def distance(self) -> tuple[float, tuple[int, ...]]:
        """Return how far the law of the output is from the target's, and for which output."""
        found: dict[tuple[int, ...], float] = {}
        for chance, output in outcomes(self._output):
            for tokens, mass in self._completed(output[:2]).items():
                found[tokens] = found.get(tokens, 0.0) + chance * mass
        expected = self._completed(())
        gaps = {tokens: abs(found.get(tokens, 0.0) - expected[tokens]) for tokens in expected}
        at = max(gaps, key=lambda tokens: gaps[tokens])
        return gaps[at], at

    def _completed(self, tokens: tuple[int, ...]) -> dict[tuple[int, ...], float]:
        """Return the target's law of two tokens that begin with ``tokens``."""
        law = {tokens: 1.0}
        for _ in range(2 - len(tokens)):
            law = {
                (*way, token): mass * chance
                for way, mass in law.items()
                for token, chance in enumerate(self._pair(way)[0])
            }
        return law

    def _output(self, coins: Coins) -> tuple[int, ...]:
        draft = self._draft(coins)
        ways = [tuple(draft.path_tokens(0, node)) for node in range(draft.size_list[0])]
        laws = torch.tensor([[self._pair(way)[0] for way in ways]], dtype=torch.float64)
        verdict = verify(self.verifier, draft, laws.log(), BranchingSampler(coins))
        path = [draft.token_lists[0][node] for node in verdict.path_lists[0]]
        return (*path, verdict.next_tokens[0])

    def _draft(self, coins: Coins) -> Draft:
        """Draw node after node from q; one that nothing is left for is left out, with its own."""
        tokens, parents, new_id = [0], [-1], {0: 0}
        ways: list[tuple[int, ...]] = [()]
        for node, above in enumerate(self.parents[1:], start=1):
            parent = new_id.get(above)
            if parent is None:
                continue
            earlier = [tokens[i] for i in range(1, len(tokens)) if parents[i] == parent]
            token = self._draw(coins, ways[parent], earlier)
            if token is not None:
                new_id[node] = len(tokens)
                tokens.append(token)
                parents.append(parent)
                ways.append((*ways[parent], token))
        inner = sorted(set(parents) - {-1}) or [0]
        q = [[self._pair(ways[node])[1] for node in inner]]
        return Draft(
            tokens=torch.tensor([tokens]),
            parents=torch.tensor([parents]),
            sizes=torch.tensor([len(tokens)]),
            law=self.law,
            probs=torch.tensor(q, dtype=torch.float64),
            inner=torch.tensor([inner]),
        )

    def _draw(self, coins: Coins, way: tuple[int, ...], earlier: list[int]) -> int | None:
        if self.law is Law.DETERMINISTIC:
            return self.chosen[len(earlier) + len(way)] % VOCAB
        q = list(self._pair(way)[1])
        if self.law is Law.WITHOUT_REPLACEMENT:
            q = [0.0 if token in earlier else mass for token, mass in enumerate(q)]
        return coins.pick([mass / sum(q) for mass in q]) if sum(q) else None

    def _pair(self, way: tuple[int, ...]) -> tuple[Probs, Probs]:
        """Return p and q after a prefix; the pairs take turns."""
        return self.pairs[(len(way) + sum(way)) % POOL]


def check_greedy_walk(subject: VerifierSubject) -> None:
    """At temperature 0 the path must follow the argmax as deep as it goes, the next token too."""
    if subject.verifier.guarantee == "none":
        raise NotApplicable("the verifier declares the guarantee 'none'")
    values = st.lists(st.integers(0, 2), min_size=VOCAB, max_size=VOCAB)
    _check_walk(subject.verifier, TWINS, [[0, 2, 0]] * 4)

    @for_all(subject, draft_trees(VOCAB), st.lists(values, min_size=12, max_size=12))
    def holds(draft: Draft, logits: list[list[int]]) -> None:
        _check_walk(subject.verifier, draft, logits)


def _check_walk(verifier: Verifier, draft: Draft, logits: list[list[int]]) -> None:
    """Raise Broken unless the path is the longest told one, and the told token follows it."""
    told = [row.index(max(row)) for row in logits]
    width = draft.tokens.shape[1]
    scores = torch.tensor([logits[:width]]).double()
    verdict = verify(verifier, draft, scores, Sampler())
    (path,), following = verdict.path_lists, verdict.next_tokens[0]
    longest = max(_agreed(draft, 0, told), key=len)
    if not _is_told(draft, path, told) or len(path) != len(longest):
        raise Broken(f"{words_of(draft)} and argmaxes {told[:width]} it accepts nodes {path}")
    last = path[-1] if path else 0
    if following != told[last]:
        raise Broken(
            f"{words_of(draft)} and argmaxes {told[:width]} token {following} follows node {last}"
        )


def check_padding_is_never_accepted(subject: VerifierSubject) -> None:
    """Padding, and nodes that are no candidates, must never be accepted; the path is one."""

    @for_all(subject, draft_trees(VOCAB), st.sampled_from([0.0, 1.0]), st.integers(0, 9))
    def holds(draft: Draft, temperature: float, seed: int) -> None:
        if temperature and not subject.verifier.samples:
            return
        sampler = Sampler(Sampling(temperature=temperature), wants_q=subject.verifier.needs_q)
        logits = torch.zeros(1, draft.tokens.shape[1], VOCAB, dtype=torch.float64)
        verdict = verify(subject.verifier, draft, logits, sampler, seed)
        (path,), parents = verdict.path_lists, draft.parent_lists[0]
        for above, node in zip([0, *path], path, strict=False):
            if node >= len(parents) or not draft.candidate_lists[0][node]:
                raise Broken(f"{words_of(draft)} it accepts node {node}, which does not count")
            if parents[node] != above:
                raise Broken(f"{words_of(draft)} it accepts {path}, which is no path")


def verify(
    verifier: Verifier, draft: Draft, logits: torch.Tensor, sampler: Any, seed: int = 0
) -> Verdict:
    """Ask a verifier about a draft of one row."""
    rows = make_rows([[int(draft.tokens[0, 0])]], Stops(9, CONTEXT), seed)
    return verifier.verify(rows, draft, Scores(logits), sampler)


def _agreed(draft: Draft, node: int, told: list[int]) -> list[list[int]]:
    """Return every path below a node on which each token is what the target says."""
    found: list[list[int]] = [[]]
    for child, parent in enumerate(draft.parent_lists[0]):
        agrees = draft.token_lists[0][child] == told[node] and draft.candidate_lists[0][child]
        if child and parent == node and agrees:
            found += [[child, *path] for path in _agreed(draft, child, told)]
    return found


def _is_told(draft: Draft, path: list[int], told: list[int]) -> bool:
    return path in _agreed(draft, 0, told)


def words_of(draft: Draft) -> str:
    """Return what a report says of a draft of one row."""
    return (
        f"with tokens {draft.token_lists[0]}, parents {draft.parent_lists[0]}, candidates "
        f"{draft.candidate_lists[0]}"
    )

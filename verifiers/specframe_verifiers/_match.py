"""Verifiers that promise the tokens themselves: ``greedy``, and ``match`` for sampling."""

from __future__ import annotations

from specframe import Draft, Rows, Sampler, Scores, Verdict, Verifier


class MatchVerifier(Verifier):
    """Let the target choose at every node, and walk from the root while a child was chosen.

    The choice is a draw with noise keyed by the token's index (Gumbel-max), so it is a function of
    model, prompt and seed: the same tokens as plain sampling, for any draft.
    """

    guarantee = "tokens"
    capturable = True

    def verify(self, rows: Rows, draft: Draft, scores: Scores, sampler: Sampler) -> Verdict:
        """Return the deepest path of chosen tokens, and the choice after it."""
        return scores.accept(draft, sampler.choose(rows, draft, scores))


class GreedyVerifier(MatchVerifier):
    """Walk from the root while a child holds the target's most likely token."""

    samples = False

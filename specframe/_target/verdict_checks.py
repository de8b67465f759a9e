"""What a verdict must be before it is committed."""

from __future__ import annotations

from typing import Any

from specframe._errors import PluginError
from specframe._round.draft import Draft
from specframe._round.verdict import Verdict


def expect_verdict(verdict: object) -> None:
    """Raise PluginError for what is no verdict."""
    if not isinstance(verdict, Verdict):
        raise _fault(f"verify must return a specframe.Verdict, got {verdict!r}")


def check_verdict(verdict: Verdict, draft: Draft, vocab_size: int) -> None:
    """Raise PluginError unless each row's path leads down its tree, to a token that exists."""
    batch, paths = draft.tokens.shape[0], verdict.path_lists
    tokens: list[Any] = verdict.next_tokens
    counts = [len(paths), len(tokens), verdict.choices.shape[0]]
    if counts != [batch] * 3:
        raise _fault(
            f"malformed verdict: path_lists, next_tokens and choices must have one entry for each "
            f"of {batch} row(s), got {counts}"
        )
    for row, (path, token) in enumerate(zip(paths, tokens, strict=True)):
        _check_path(row, path, draft)
        if not isinstance(token, int) or not 0 <= token < vocab_size:
            raise _fault(
                f"malformed verdict: row {row}, next token {token!r} is out of vocabulary "
                f"(size {vocab_size})"
            )


def _check_path(row: int, path: list[int], draft: Draft) -> None:
    parents, above = draft.parent_lists[row], 0
    for node in path:
        if not 0 < node < len(parents) or parents[node] != above:
            raise _fault(
                f"malformed verdict: row {row}, path {path} must lead from a child of the root "
                f"downwards; the parents of its draft are {parents}"
            )
        if not draft.candidate_lists[row][node]:
            raise _fault(f"malformed verdict: row {row}, node {node} is no candidate")
        above = node


def _fault(message: str) -> PluginError:
    return PluginError(message, kind="verifier")

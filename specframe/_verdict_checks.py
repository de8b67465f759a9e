"""What a verdict must be before anything is committed of it."""

from __future__ import annotations

from specframe._draft import Draft
from specframe._errors import PluginError
from specframe._verdict import Verdict


def check_verdict(verdict: Verdict, draft: Draft, vocab_size: int) -> None:
    """Raise PluginError unless each row's path leads down its tree, to a token that there is."""
    if not isinstance(verdict, Verdict):
        raise _fault(f"verify must return a specframe.Verdict, got {verdict!r}")
    batch = draft.tokens.shape[0]
    shapes = [list(part.shape) for part in (verdict.accepted, verdict.next_token)]
    if shapes != [[batch], [batch]] or len(verdict.path) != batch or len(verdict.choices) != batch:
        raise _fault(f"accepted and next_token must be [{batch}], one for each row, got {shapes}")
    for row, (path, token) in enumerate(
        zip(verdict.path_lists, verdict.next_token.tolist(), strict=True)
    ):
        _check_path(row, path, draft)
        if not 0 <= token < vocab_size or token != int(token):
            raise _fault(
                f"malformed verdict: row {row}, next_token {token} is out of vocabulary "
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

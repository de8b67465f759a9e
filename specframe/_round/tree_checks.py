"""What one row's tree must be, given as lists in node order."""

from __future__ import annotations

from specframe._errors import PluginError


def check_parents(row: int, parents: list[int]) -> None:
    """Raise PluginError unless the root stands first, and each parent before its children."""
    if parents[0] != -1:
        raise PluginError(
            f"malformed draft: row {row}, node 0 is the root and must have parent -1, "
            f"got {parents[0]}"
        )
    for node, parent in enumerate(parents[1:], start=1):
        if not 0 <= parent < node:
            raise PluginError(
                f"malformed draft: row {row}, node {node} has parent {parent}; "
                "a parent must stand before its child"
            )


def check_tokens(row: int, tokens: list[int], vocab_size: int) -> None:
    """Raise PluginError for a token that there is not."""
    for node, token in enumerate(tokens):
        if not 0 <= token < vocab_size:
            raise PluginError(
                f"malformed draft: row {row}, node {node} holds token {token}, "
                f"out of vocabulary (size {vocab_size})"
            )


def check_siblings(row: int, tokens: list[int], parents: list[int]) -> None:
    """Raise PluginError where two children of a node hold the same token."""
    seen: set[tuple[int, int]] = set()
    for node, (token, parent) in enumerate(zip(tokens, parents, strict=True)):
        if (parent, token) in seen:
            raise PluginError(
                f"malformed draft: row {row}, node {node} repeats token {token} of a sibling, and "
                "their law is WITHOUT_REPLACEMENT"
            )
        seen.add((parent, token))

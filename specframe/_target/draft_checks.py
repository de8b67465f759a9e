"""What a draft must be before the target scores it."""

from __future__ import annotations

from typing import Any

import attrs
from torch import Tensor

from specframe._engine.engine import Engine
from specframe._errors import PluginError
from specframe._round.capabilities import Capabilities
from specframe._round.draft import Draft, Exit, Law
from specframe._round.rows import Rows

Q_TOLERANCE = 1e-3  # how far from 1 a q may sum: it may have been computed in 16 bit


def check_draft(draft: Draft, vocab_size: int, rooms: list[int]) -> None:
    """Raise PluginError unless the trees are well formed; it names the row and node at fault.

    ``vocab_size`` is the number of tokens, ``rooms`` the most levels of each row.
    """
    _check_trees(draft, rooms)
    _check_laws(draft)
    _check_tokens(draft, vocab_size)


def check_proposal(
    draft: Draft, engine: Engine, rows: Rows, declared: Capabilities, *, is_built: bool = False
) -> None:
    """Raise PluginError unless a drafter's answer can be scored for these rows.

    ``is_built``: the round's TreeBuilder made it, and saw to shapes and room.
    """
    if is_built:
        _expect_whole("tokens", draft.tokens, dims=2)
        if draft.probs is not None:
            _expect_q(draft, engine)
    else:
        check_kinds(draft, engine)
        _check_trees(draft, rows.rooms)
    _check_laws(draft)
    if draft.is_told:
        check_told(draft, engine, rows)
    if not declared.max_nodes:
        _check_chains(draft)
    check_law(draft, declared)


def check_told(draft: Draft, engine: Engine, rows: Rows) -> None:
    """Raise PluginError unless the tokens fit; waits for the device that chooses them, if any."""
    _check_tokens(draft, engine.vocab_size)
    _check_roots(rows, draft)


def check_law(draft: Draft, declared: Capabilities) -> None:
    """Raise PluginError for children that were drawn, by a drafter that declares no q."""
    if declared.sampling or draft.law is Law.DETERMINISTIC:
        return
    for row, law in enumerate(draft.laws):
        if law is not Law.DETERMINISTIC:
            raise PluginError(
                f"malformed draft: row {row} has the law {law.name} and capabilities.sampling is "
                "not set: declare Capabilities(sampling=True), or call guesses that nobody drew "
                "DETERMINISTIC"
            )


def with_nodes(declared: Capabilities, nodes: int) -> Capabilities:
    """Return what a drafter declares, with room for ``nodes`` nodes at least."""
    return attrs.evolve(declared, max_nodes=max(declared.max_nodes or 0, nodes))


def check_kinds(draft: Draft, engine: Engine) -> None:
    """Raise PluginError for what is no draft, and for tensors of a wrong kind, dtype or device."""
    if not isinstance(draft, Draft):
        raise PluginError(f"propose must return a specframe.Draft, got {draft!r}")
    for name in ("tokens", "parents", "sizes"):
        _expect_whole(name, getattr(draft, name), dims=1 if name == "sizes" else 2)
    if draft.probs is not None:
        _expect_q(draft, engine)
    if draft.exit is not None:
        _check_exit(draft.exit, draft, engine)


def _check_roots(rows: Rows, draft: Draft) -> None:
    """Raise PluginError unless node 0 of each tree is the row's last committed token."""
    # Scored below another token, every choice would be wrong and nothing would show it.
    for place, (root, tokens) in enumerate(zip(rows.roots, draft.token_lists, strict=True)):
        if tokens[0] != root:
            raise PluginError(
                f"malformed draft: row {place}, node 0 must hold the root, token {root}, "
                f"got {tokens[0]}"
            )


def _check_chains(draft: Draft) -> None:
    """Raise PluginError for a draft that branches."""
    # Slots are kept for what is declared: such a draft would fit until the budget nearly ends.
    for row, depths in enumerate(draft.depths):
        if len(depths) - 1 > max(depths):
            raise PluginError(
                f"malformed draft: row {row} is a tree of {len(depths)} nodes and capabilities.tree"
                " is not set: declare Capabilities(tree=True, max_nodes=N), where N is the most "
                "nodes of one draft"
            )


def _expect_q(draft: Draft, engine: Engine) -> None:
    probs = _tensor("probs", draft.probs)
    if not probs.is_floating_point() or probs.dim() != 3:
        raise _fault("probs", probs, "floating point numbers [batch, inner, vocab]")
    if probs.device.type != engine.device.type:
        raise _fault("probs", probs, f"on the target's device, {engine.device}")
    inner = _tensor("inner", draft.inner)
    _expect_whole("inner", inner, dims=2)
    if inner.shape != probs.shape[:2]:
        raise _fault("inner", inner, f"one node for each q, {list(probs.shape[:2])}")


def _check_exit(exit: Exit, draft: Draft, engine: Engine) -> None:
    hidden = _tensor("exit.hidden", exit.hidden)
    if not 0 < exit.layer <= engine.num_layers:
        raise PluginError(
            f"malformed draft: exit.layer must be from 1 to {engine.num_layers}, got {exit.layer}"
        )
    shape = [*draft.tokens.shape, engine.hidden_size]
    if list(hidden.shape) != shape:
        raise _fault("exit.hidden", hidden, f"{shape}, the states of each node")
    if hidden.dtype != engine.dtype or hidden.device.type != engine.device.type:
        raise _fault("exit.hidden", hidden, f"the target's {engine.dtype} on {engine.device}")
    slots: Any = exit.slot_lists
    batch, width = draft.tokens.shape
    if not isinstance(slots, list) or [len(row) for row in slots] != [width] * batch:
        raise PluginError(
            f"malformed draft: exit.slot_lists must be {batch} list(s) of {width} whole numbers, "
            f"one for each node, got {slots!r}"
        )


def _expect_whole(name: str, value: object, *, dims: int) -> None:
    tensor = _tensor(name, value)
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dim() != dims:
        raise _fault(name, tensor, f"whole numbers in {dims} dimension(s)")


def _tensor(name: str, value: object) -> Tensor:
    if not isinstance(value, Tensor):
        raise PluginError(f"malformed draft: {name} must be a tensor, got {value!r}")
    return value


def _fault(name: str, tensor: Tensor, wanted: str) -> PluginError:
    return PluginError(
        f"malformed draft: {name} must be {wanted}; got {tensor.dtype} {list(tensor.shape)} "
        f"on {tensor.device}"
    )


def _check_trees(draft: Draft, rooms: list[int]) -> None:
    """Raise PluginError unless the trees are well formed, whatever tokens they hold."""
    _check_sizes(draft, len(rooms))
    for row, parents in enumerate(draft.parent_lists):
        _check_parents(row, parents)
    for row, (depths, room) in enumerate(zip(draft.depths, rooms, strict=True)):
        if max(depths) > room:
            raise PluginError(
                f"malformed draft: row {row} has room for {room} levels and was given {max(depths)}"
            )


def _check_sizes(draft: Draft, rows: int) -> None:
    batch, width = draft.tokens.shape
    if batch != rows:
        raise PluginError(f"malformed draft: it holds {batch} row(s) and the batch has {rows}")
    if draft.parents.shape != (batch, width) or draft.sizes.shape != (batch,):
        raise PluginError(
            f"malformed draft: tokens {tuple(draft.tokens.shape)}, parents "
            f"{tuple(draft.parents.shape)} and sizes {tuple(draft.sizes.shape)} do not belong "
            "together; expected [batch, node], [batch, node] and [batch]"
        )
    if not all(1 <= size <= width for size in draft.size_list):
        raise PluginError(
            f"malformed draft: sizes {draft.size_list} must lie between 1 (the root) and {width}"
        )


def _check_parents(row: int, parents: list[int]) -> None:
    """Raise PluginError unless the root is first, and each parent before its children."""
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


def _check_laws(draft: Draft) -> None:
    """Raise PluginError unless laws are laws, and values of nodes have one for each."""
    batch = draft.tokens.shape[0]
    for name in ("candidates", "confidences"):
        value = getattr(draft, name)
        if value is not None and value.shape != draft.tokens.shape:
            raise PluginError(
                f"malformed draft: {name} {tuple(value.shape)} do not belong to tokens "
                f"{tuple(draft.tokens.shape)}"
            )
    if isinstance(draft.law, Tensor):
        known = {int(law) for law in Law}
        if draft.law.shape != (batch,) or not set(draft.law.tolist()) <= known:
            raise PluginError(
                f"malformed draft: law must be a Law, or one for each of {batch} row(s), got "
                f"{draft.law.tolist()}"
            )


def _check_tokens(draft: Draft, vocab_size: int) -> None:
    """Raise PluginError unless the tokens exist, and were drawn as the laws say."""
    for row, (tokens, law) in enumerate(zip(draft.token_lists, draft.laws, strict=True)):
        for node, token in enumerate(tokens):
            if not 0 <= token < vocab_size:
                raise PluginError(
                    f"malformed draft: row {row}, node {node} holds token {token}, "
                    f"out of vocabulary (size {vocab_size})"
                )
        if law is not Law.DETERMINISTIC:
            _check_q(draft, row, vocab_size)
        if law is Law.WITHOUT_REPLACEMENT:
            _check_siblings(row, tokens, draft.parent_lists[row])


def _check_q(draft: Draft, row: int, vocab_size: int) -> None:
    """Raise PluginError unless each q that is given is one, with mass on its children."""
    for node, parent in enumerate(draft.parent_lists[row][1:], start=1):
        q = draft.q(row, parent)
        if q is None:
            continue
        where = f"malformed draft: row {row}, node {parent}"
        if q.shape != (vocab_size,):
            raise PluginError(f"{where}: q must be over {vocab_size} tokens, got {tuple(q.shape)}")
        if not abs(float(q.sum()) - 1) < Q_TOLERANCE or float(q.min()) < 0:
            raise PluginError(
                f"{where}: q must be a distribution, its values sum to {float(q.sum()):.4g} "
                f"and the least is {float(q.min()):.4g}"
            )
        token = draft.token_lists[row][node]
        if not float(q[token]) > 0:
            raise PluginError(f"{where}: q gives no mass to its child, token {token}")


def _check_siblings(row: int, tokens: list[int], parents: list[int]) -> None:
    """Raise PluginError where two children of a node hold the same token."""
    seen: set[tuple[int, int]] = set()
    for node, (token, parent) in enumerate(zip(tokens, parents, strict=True)):
        if (parent, token) in seen:
            raise PluginError(
                f"malformed draft: row {row}, node {node} repeats token {token} of a sibling, and "
                "their law is WITHOUT_REPLACEMENT"
            )
        seen.add((parent, token))

"""What a draft must be before the target scores it; its trees are ``Draft.check``'s business."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from torch import Tensor

from specframe._errors import PluginError
from specframe._round.draft import Draft, Law

if TYPE_CHECKING:
    from specframe._contracts.drafter import Capabilities
    from specframe._engine.engine import Engine
    from specframe._round.draft import Exit
    from specframe._round.rows import Rows


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
        check_draft(draft, engine)
        draft.check_trees(rows.rooms)
    draft.check_laws()
    if draft.is_told:
        check_told(draft, engine, rows)
    if not declared.max_nodes:
        _check_chains(draft)
    check_law(draft, declared)


def check_told(draft: Draft, engine: Engine, rows: Rows) -> None:
    """Raise PluginError unless the tokens fit; waits for the device that chooses them, if any."""
    draft.check_tokens(engine.vocab_size)
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


def check_draft(draft: Draft, engine: Engine) -> None:
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
    # Slots are kept for what is declared: such a draft would fit until the budget is nearly spent.
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

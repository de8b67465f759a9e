"""A draft: one token tree per row of the batch."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import cached_property

import attrs
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from specframe._deprecation import DEPRECATED
from specframe._engine.transfer import Reading, padded
from specframe._engine.tree_shape import chain_shape, depths_of
from specframe._errors import PluginError


class Law(enum.IntEnum):
    """Say how the siblings of a tree were chosen; sampling verifiers must know.

    DETERMINISTIC: nobody drew them; IID: drawn independently from q; WITHOUT_REPLACEMENT: drawn
    from q one after another, without those before.
    """

    DETERMINISTIC = 0
    IID = 1
    WITHOUT_REPLACEMENT = 2


@attrs.frozen(eq=False)
class Exit:
    """Hold what layers below ``layer`` have already computed for every node of a draft.

    Their keys and values are in the target's cache at ``slot_lists``, padding included; ``taps``
    maps numbers of layers run, up to ``layer``, to the hidden states captured there. Made by a
    TreeBuilder alone.
    """

    layer: int
    hidden: Float[Tensor, "batch node hidden"]
    slot_lists: list[list[int]]
    taps: Mapping[int, Float[Tensor, "batch node hidden"]] = attrs.field(factory=dict)

    @cached_property
    def slots(self) -> Int[Tensor, "batch node"]:
        """Return the slots as a tensor."""
        return torch.tensor(self.slot_lists)


@attrs.frozen(eq=False)
class Draft:
    """Hold a token tree per row; node 0 is the root, the last committed token.

    ``parents`` is -1 at the root and smaller than the node's own index elsewhere; siblings are in
    the order in which they were drawn. Nodes from ``sizes`` on are padding. ``candidates``: false =
    scored but never accepted. ``confidences``: the un-tempered top-1 probability of the
    distribution that each node was chosen from. ``probs``: q at the nodes ``inner`` (-1 is
    padding), only where the verifier needs it: the distribution that their children were really
    drawn from. ``law`` is one Law for all rows, or a value of Law for each. Dropping ``exit`` is
    always legal: the target then runs every layer. Nothing is checked here: ``check_draft`` and
    ``Target.score`` raise PluginError for a malformed draft.
    """

    tokens: Int[Tensor, "batch node"]
    parents: Int[Tensor, "batch node"]
    sizes: Int[Tensor, " batch"]
    law: Law | Int[Tensor, " batch"] = Law.DETERMINISTIC
    candidates: Bool[Tensor, "batch node"] | None = None
    confidences: Float[Tensor, "batch node"] | None = None
    probs: Float[Tensor, "batch inner vocab"] | None = None
    inner: Int[Tensor, "batch inner"] | None = None
    exit: Exit | None = None

    @classmethod
    def chains(
        cls, roots: list[int], guesses: list[list[int]], device: torch.device | str = "cpu"
    ) -> Draft:
        """Build one chain per row: the root and the guessed tokens below it, DETERMINISTIC."""
        lengths = [len(guess) for guess in guesses]
        longest = max(lengths)
        held = padded([[root, *guess] for root, guess in zip(roots, guesses, strict=True)], 0)
        parents, sizes = chain_shape(len(roots), 1 + longest, torch.device(device))
        if min(lengths) < longest:
            sizes = torch.tensor([1 + length for length in lengths], device=device)
        return cls(torch.tensor(held, device=device), parents, sizes)

    @classmethod
    def trees(
        cls,
        tokens: list[list[int]],
        parents: list[list[int]],
        device: torch.device | str = "cpu",
    ) -> Draft:
        """Build one tree per row from its tokens and their parents, both in node order.

        The root comes first, with parent -1. Nobody drew these nodes: the law is DETERMINISTIC.
        Raises PluginError where a row has not as many tokens as parents.
        """
        for row, (held, above) in enumerate(zip(tokens, parents, strict=True)):
            if len(held) != len(above):
                raise PluginError(
                    f"malformed draft: row {row} has {len(held)} tokens and {len(above)} parents"
                )
        return cls(
            torch.tensor(padded(tokens, 0), device=device),
            torch.tensor(padded(parents, 0), device=device),
            torch.tensor([len(row) for row in tokens], device=device),
        )

    @property
    def is_told(self) -> bool:
        """Tell whether the host knows the tokens, or a device may still be choosing them."""
        return self.tokens.is_cpu

    def read_ahead(self) -> None:
        """Begin to read tokens and confidences, before other work goes to the device."""
        _ = self._reading

    @cached_property
    def _reading(self) -> Reading:
        return Reading(self.tokens, *([] if self.confidences is None else [self.confidences]))

    @cached_property
    def size_list(self) -> list[int]:
        """Return the number of nodes of each row, on the host."""
        return [int(size) for size in self.sizes.tolist()]

    @cached_property
    def token_lists(self) -> list[list[int]]:
        """Return each row's tokens in node order, padding left out, on the host."""
        tokens, *_ = self._reading.wait()
        return [row[:size] for row, size in zip(tokens.tolist(), self.size_list, strict=True)]

    @cached_property
    def confidence_lists(self) -> list[list[float]] | None:
        """Return each row's confidences in node order, padding left out, on the host."""
        if self.confidences is None:
            return None
        _, confidences = self._reading.wait()
        return [row[:size] for row, size in zip(confidences.tolist(), self.size_list, strict=True)]

    @cached_property
    def parent_lists(self) -> list[list[int]]:
        """Return each row's parents in node order, padding left out, on the host."""
        return [row[:size] for row, size in zip(self.parents.tolist(), self.size_list, strict=True)]

    @cached_property
    def depths(self) -> list[list[int]]:
        """Return each row's node depths; the root's is 0."""
        return [depths_of(parents) for parents in self.parent_lists]

    @cached_property
    def are_chains(self) -> bool:
        """Tell whether no row's tree has a branch and no row has padding."""
        width = self.tokens.shape[1]
        chain = list(range(-1, width - 1))
        return all(parents == chain for parents in self.parent_lists)

    @cached_property
    def laws(self) -> list[Law]:
        """Return how the siblings of each row were chosen."""
        if isinstance(self.law, Law):
            return [self.law] * self.tokens.shape[0]
        return [Law(value) for value in self.law.tolist()]

    @cached_property
    def candidate_lists(self) -> list[list[bool]]:
        """Return for each row which nodes may be accepted, on the host."""
        if self.candidates is None:
            return [[True] * size for size in self.size_list]
        return [
            row[:size] for row, size in zip(self.candidates.tolist(), self.size_list, strict=True)
        ]

    def depth(self, row: int, node: int) -> int:
        """Return a node's level; the root's is 0."""
        return self.depths[row][node]

    def path_tokens(self, row: int, node: int) -> list[int]:
        """Return the tokens below the root that lead to a node, its own last."""
        tokens, parents = self.token_lists[row], self.parent_lists[row]
        path = []
        while node > 0:
            path.append(tokens[node])
            node = parents[node]
        return path[::-1]

    def q(self, row: int, node: int) -> Float[Tensor, " vocab"] | None:
        """Return the distribution that a node's children were drawn from, if it was given."""
        if self.probs is None or self.inner is None:
            return None
        places = [place for place, inner in enumerate(self._inner_lists[row]) if inner == node]
        return self.probs[row, places[0]] if places else None

    @cached_property
    def _inner_lists(self) -> list[list[int]]:
        assert self.inner is not None
        lists: list[list[int]] = self.inner.tolist()
        return lists

    def check(self, vocab_size: int, rooms: list[int]) -> None:
        """Do what ``specframe.check_draft`` does, which replaces it; raises PluginError alike."""
        DEPRECATED["specframe.Draft.check()"].call(self, vocab_size, rooms)

    def require_q(self) -> None:
        """Raise PluginError unless every node with drawn children has its q; verifiers call it."""
        for row, law in enumerate(self.laws):
            for parent in self.parent_lists[row][1:]:
                if law is not Law.DETERMINISTIC and self.q(row, parent) is None:
                    raise PluginError(
                        f"malformed draft: row {row}, node {parent} has children of law {law.name} "
                        "and no q that they were drawn from, which the verifier needs"
                    )

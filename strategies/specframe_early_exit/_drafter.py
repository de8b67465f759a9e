"""Early exit: the target's first layers draft through its own norm and head, the others verify.

Paper: Elhoushi et al., ACL 2024, "LayerSkip: Enabling Early Exit Inference and Self-Speculative
Decoding". They train for it; the drafting needs nothing but the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Self

from torch import Tensor

from specframe import (
    Capabilities,
    Captured,
    Draft,
    Drafter,
    Law,
    Nodes,
    OptionError,
    Rows,
    Sampler,
    StopPolicy,
    Target,
    TreeBuilder,
    grow_chain,
)
from specframe_early_exit._options import EarlyExitOptions


class EarlyExitDrafter(Drafter):
    """Draft a chain per row on the target's own first layers.

    Every token runs through the shallow layers once, in the target's cache, and verification
    continues from their output. So nothing is kept from round to round, and nothing is caught up.
    """

    capabilities = Capabilities(
        sampling=True, shows=frozenset({"confidence", "probs", "entropy", "hidden"})
    )

    def __init__(self, options: EarlyExitOptions) -> None:
        """Note the options; only the target knows how many layers there are."""
        self._options = options
        self._exit = options.exit_layer
        self.most_levels = options.steps

    @classmethod
    def for_testing(cls, options: object | None = None) -> Self:
        """Return a drafter that leaves the target after its first layer."""
        assert options is None or isinstance(options, EarlyExitOptions)
        return cls(options or EarlyExitOptions(exit_layer=1))

    def prepare(self, target: Target) -> None:
        """Refuse an exit after the last layer: nothing would be left to verify with."""
        layers = target.engine.num_layers
        if self._exit >= layers:
            raise OptionError(
                f"option 'exit_layer' of strategy 'early-exit' must be below the model's number "
                f"of layers, {layers}, got {self._exit}"
            )

    def stop_settings(self) -> Mapping[str, object]:
        """Return the threshold and the number of steps."""
        return {"threshold": self._options.threshold, "steps": self.most_levels}

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        """Remember the target, whose cache is the drafter's too."""
        self._target = target

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Draft token by token until the stop policy or the room ends it in every row."""
        tree = self._target.tree(rows)
        self._run_shallow(tree.root)
        look = partial(self._look, tree)
        grow_chain(tree, rows, stop, sampler, look, ahead=self._run_shallow)
        return tree.draft(Law.IID if sampler.wants_q else Law.DETERMINISTIC)

    def _run_shallow(self, nodes: Nodes) -> None:
        self._target.run(nodes, 0, self._exit)  # all nodes leave at one layer

    def _look(self, tree: TreeBuilder, nodes: Nodes) -> tuple[Tensor, Tensor]:
        """Return what the model would say if it ended at the exit, and its state there."""
        _, exited = tree.computed(nodes)
        assert exited is not None
        state = self._target.norm(exited[:, -1:])
        return self._target.logits(state)[:, -1], state[:, -1]

"""Kangaroo: the target's first layers and a small adapter draft; the other layers verify.

Paper: Liu et al., NeurIPS 2024, "Kangaroo: Lossless Self-Speculative Decoding via Double Early
Exiting". The first exit is after ``exit_layer`` layers, the second when a token's confidence falls
below a threshold (the stop policy's business).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Self, TypeVar

import torch
from torch import Tensor

from specframe import (
    AdapterError,
    Capabilities,
    Captured,
    Commit,
    Draft,
    Drafter,
    Law,
    Needs,
    OptionError,
    Rows,
    Sampler,
    Scores,
    StopPolicy,
    Target,
)
from specframe_kangaroo._adapter import Adapter, AdapterConfig
from specframe_kangaroo._cached_adapter import CachedAdapter
from specframe_kangaroo._checkpoint import Checkpoint, check_base, load_checkpoint
from specframe_kangaroo._growth import Ground, TreeShape, grow_chain, grow_tree
from specframe_kangaroo._options import KangarooOptions

Number = TypeVar("Number", int, float)
# Without an option and metadata; the paper's values.
EXIT_LAYER, STEPS, THRESHOLD, TREE_THRESHOLD = 2, 6, 0.6, 0.4
FILL_CHUNK = 512  # positions of a prompt that the adapter runs at once


class KangarooDrafter(Drafter):
    """Draft a chain or a tree per row on the target's own first layers.

    Every token runs through the shallow layers once, in the target's cache; verification continues
    from their output. The adapter's cache lags: the last level of a draft is never run through it,
    so if one of its tokens is accepted, its state waits in ``_backlog`` and is caught up together
    with the next root.
    """

    def __init__(
        self, options: KangarooOptions, make: Callable[[Target], Checkpoint] | None = None
    ) -> None:
        """Keep the options; ``prepare`` reads the weights, or has them made for the target."""
        self._options = options
        self._make = make
        self._shape = _shape_of(options)
        self.capabilities = Capabilities(
            tree=options.tree,
            sampling=not options.tree,  # a tree holds the likeliest, none of them drawn
            max_nodes=options.max_nodes if options.tree else None,
            shows=frozenset({"confidence", "probs", "entropy", "hidden"}),
        )
        self._backlog: list[list[Tensor]] = []
        self._seen: list[int] = []  # nodes of each row that the adapter has seen this round

    @classmethod
    def for_testing(cls, options: object | None = None) -> Self:
        """Return a drafter whose adapter is random, of the target's size."""
        assert options is None or isinstance(options, KangarooOptions)
        return cls(options or KangarooOptions(), random_checkpoint)

    def prepare(self, target: Target) -> None:
        """Read the adapter, and resolve the options that its metadata may give."""
        checkpoint = self._make(target) if self._make else load_checkpoint(self._folder(target))
        check_base(checkpoint, target.engine.hidden_size, target.origin.fingerprint)
        options = self._options
        self._exit = _first(options.exit_layer, checkpoint.exit_layer, EXIT_LAYER)
        stored = checkpoint.tree_threshold if options.tree else checkpoint.threshold
        default = TREE_THRESHOLD if options.tree else THRESHOLD
        self._threshold = _first(options.threshold, stored, default)
        self.most_levels = _first(options.steps, checkpoint.steps, STEPS)
        self._refuse_exit_layer(target)
        engine = target.engine
        self._adapter = CachedAdapter(
            checkpoint.adapter, engine.dtype, engine.device, capture=target.capture
        )
        self.needs = Needs(taps=frozenset({self._exit}), prompt=True)

    def stop_settings(self) -> Mapping[str, object]:
        """Return the threshold and the number of steps that fit this adapter."""
        return {"threshold": self._threshold, "steps": self.most_levels}

    def settings(self) -> Mapping[str, object]:
        """Return the options in force."""
        return {
            "exit_layer": self._exit,
            "steps": self.most_levels,
            "threshold": self._threshold,
        }

    def start(self, target: Target, rows: Rows, captured: Captured) -> None:
        """Run the adapter over the prompts."""
        self._target = target
        self._adapter.open(len(rows), target.slots)
        self._backlog = [[] for _ in rows.active]
        exited = captured.taps[self._exit]
        for place, row in enumerate(rows.active):
            for first in range(0, row.prompt_length, FILL_CHUNK):
                last = min(first + FILL_CHUNK, row.prompt_length)
                placement = target.place([first], [last - first])
                self._adapter.fill(place, exited[place : place + 1, first:last], placement)

    def propose(self, rows: Rows, stop: StopPolicy, sampler: Sampler) -> Draft:
        """Draft level by level until the stop policy or the room ends it in every row."""
        tree = self._target.tree(rows)
        ground = Ground(self._target, self._adapter, self._exit, rows, stop, sampler, tree)
        exited = ground.run_shallow(tree.root)
        self._seen = [0] * len(rows)
        if any(rows.rooms):
            state = self._expand_roots(rows, exited)[:, -1:]
            grow = grow_chain if self._shape is None else partial(grow_tree, shape=self._shape)
            self._seen = grow(ground, state)
        is_drawn = sampler.wants_q and self._shape is None
        return tree.draft(Law.IID if is_drawn else Law.DETERMINISTIC)

    def update(self, rows: Rows, draft: Draft, scores: Scores, commit: Commit) -> None:
        """Put the accepted path in order, and keep the states that the adapter has not seen.

        It has seen none of another drafter's draft.
        """
        if draft.exit is None:
            exited = scores.captured.taps[self._exit]
            for place, path in enumerate(commit.path_lists):
                self._backlog[place] += [exited[place, node] for node in (0, *path)]
            return
        slots = draft.exit.slot_lists
        sources, starts = [], []
        for place, path in enumerate(commit.path_lists):
            root = slots[place][0]
            accepted = [0, *path]
            seen = [n for n in accepted if slots[place][n] < root + self._seen[place]]
            self._backlog[place] += [draft.exit.hidden[place, n] for n in accepted[len(seen) :]]
            sources.append([slots[place][node] for node in seen])
            starts.append(root)
        self._adapter.gather(sources, starts)

    def keep(self, kept: list[int]) -> None:
        """Continue with the rows ``kept`` alone."""
        self._backlog = [self._backlog[place] for place in kept]
        self._adapter.keep(kept)

    def _expand_roots(self, rows: Rows, exited: Tensor) -> Tensor:
        """Run the adapter on the roots, and before them on what each row has to catch up."""
        counts = [len(backlog) + 1 for backlog in self._backlog]
        starts = [length - count for length, count in zip(rows.lengths, counts, strict=True)]
        feed = exited
        if max(counts) > 1:
            feed = torch.stack(
                [
                    _right_aligned([*backlog, root[0]], max(counts))
                    for backlog, root in zip(self._backlog, exited, strict=True)
                ]
            )
        self._backlog = [[] for _ in counts]
        return self._adapter(feed, self._target.place(starts, counts))

    def _folder(self, target: Target) -> str:
        folder = self._options.adapter or target.origin.companion("kangaroo")
        if folder is None:
            raise AdapterError(
                f"strategy 'kangaroo' needs an adapter that was trained for "
                f"'{target.origin.name}': train one with `specframe train kangaroo`, and name its "
                "folder with `-o adapter=FOLDER`"
            )
        return str(folder)

    def _refuse_exit_layer(self, target: Target) -> None:
        layers = target.engine.num_layers
        if self._exit >= layers:
            raise OptionError(
                f"option 'exit_layer' of strategy 'kangaroo' must be below the model's number of "
                f"layers, {layers}, got {self._exit}"
            )


def random_checkpoint(target: Target) -> Checkpoint:
    """Return an adapter with the same random weights each time, for the target's first layer."""
    generator = torch.Generator().manual_seed(0)
    adapter = Adapter(AdapterConfig(target.engine.hidden_size, 1, 1))
    for weight in adapter.parameters():
        noise = torch.randn(weight.shape, generator=generator)
        weight.data = noise * weight.shape[-1] ** -0.5 if weight.dim() > 1 else 1 + 0.1 * noise
    return Checkpoint(adapter, exit_layer=1, threshold=0.0)


def _shape_of(options: KangarooOptions) -> TreeShape | None:
    if not options.tree:
        return None
    return TreeShape(
        options.tree_first_k or options.tree_top_k, options.tree_top_k, options.max_nodes
    )


def _first(*values: Number | None) -> Number:
    return next(value for value in values if value is not None)


def _right_aligned(states: list[Tensor], width: int) -> Tensor:
    padding = [torch.zeros_like(states[0])] * (width - len(states))
    return torch.stack([*padding, *states])

"""The target: the model whose output must not change. Prefill, score and commit."""

from __future__ import annotations

from collections.abc import Collection

import torch
from jaxtyping import Float, Int
from torch import Tensor

from specframe._engine.engine import Engine, Filled, Opener, Step
from specframe._engine.model_origin import UNKNOWN, Origin
from specframe._engine.placement import Board, Placement
from specframe._engine.transfer import padded, to_device
from specframe._errors import InputError
from specframe._round.acceptance import ON_HOST, acceptance_on
from specframe._round.capabilities import Capabilities, Needs
from specframe._round.clock import Clock
from specframe._round.draft import Draft
from specframe._round.rows import Rows
from specframe._round.scores import Captured, Scores
from specframe._round.tree_builder import Nodes, TreeBuilder
from specframe._round.verdict import Commit, Verdict
from specframe._sampling.sampler import Sampler
from specframe._target.draft_checks import check_proposal, check_told, with_nodes
from specframe._target.finite_checks import check_finite
from specframe._target.slots import refuse_overflow, settle_ahead, slots_of
from specframe._target.verdict_checks import check_verdict, expect_verdict

SPARE_SLOTS = 2  # the root of the last round, and the slot that takes padding


class Target:
    """Hold the engine, the board and the clock of one decode at a time.

    ``extra_nodes`` is the most nodes that a draft has beyond its deepest path, which decides how
    many slots are taken; ``origin`` names the model, ``opener`` loads others to draft with.
    ``keeps_logits``: commits carry the logits that their tokens were chosen from. A part that
    breaks its contract is a PluginError.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        extra_nodes: int = 0,
        keeps_logits: bool = False,
        origin: Origin = UNKNOWN,
        opener: Opener | None = None,
    ) -> None:
        """Wrap an engine; nothing is allocated before the prefill."""
        self.engine = engine
        self.origin = origin
        self._opener = opener
        self.clock = Clock()
        self.keeps_logits = keeps_logits
        self._declared = Capabilities(max_nodes=extra_nodes, sampling=True)
        self._needs = Needs()
        self._board = Board(SPARE_SLOTS)
        self._tree: TreeBuilder | None = None
        self._scores: Scores | None = None
        self._recorded = acceptance_on(engine)
        self._acceptance = ON_HOST

    def open(
        self, model: str, *, trust_remote_code: bool = False, revision: str | None = None
    ) -> Engine:
        """Return the engine of another model, a folder or a hub id, to draft with.

        It has a cache of its own and the target's dtype; its checkpoint's, where the target took
        that of its own. Raises ModelError for a model that cannot be loaded, or whose tokens have
        other meanings, and InputError for a target that ``load`` did not make.
        """
        if self._opener is None:
            raise InputError(f"'{model}' needs a target that was loaded: use specframe.load")
        return self._opener(model, trust_remote_code=trust_remote_code, revision=revision)

    def expect(self, capabilities: Capabilities) -> None:
        """Keep slots for the drafts that a prepared drafter declares; ``score`` refuses others."""
        self._declared = with_nodes(capabilities, self._declared.max_nodes or 0)

    def prefill(self, rows: Rows, sampler: Sampler, needs: Needs) -> Captured:
        """Fill the cache with the prompts and commit each row's first token: it is the root.

        Raises MemoryShortageError where the cache does not fit, NumericsError for logits that are
        not finite.
        """
        self.clock.restart()
        self._needs = needs
        self._open(rows)
        taps = self._prompt_taps(needs)
        filled = [
            self.engine.fill(place, row.tokens, taps) for place, row in enumerate(rows.active)
        ]
        logits = self.logits(self.norm(torch.stack([part.last for part in filled])))[:, 0]
        check_finite(self.engine, rows, logits.amax(dim=-1)[:, None], [[0]] * len(rows))
        for row, token in zip(rows.active, sampler.first(rows, logits).tolist(), strict=True):
            row.commit([token])
        self.clock.lap("prefill")
        return self._captured(filled, needs, logits[:, None])

    def _prompt_taps(self, needs: Needs) -> frozenset[int]:
        if not needs.prompt:
            return frozenset()
        return needs.taps | ({self.engine.num_layers} if needs.normed else set())

    def _captured(self, filled: list[Filled], needs: Needs, logits: Tensor) -> Captured:
        at_one_width = {
            layer: torch.nn.utils.rnn.pad_sequence(
                [part.taps[layer] for part in filled], batch_first=True
            )
            for layer in self._prompt_taps(needs)
        }
        normed = None
        if needs.normed and needs.prompt:
            normed = self.norm(at_one_width[self.engine.num_layers])
        return Captured(at_one_width, normed, logits if self.keeps_logits else None)

    def begin_round(self, rows: Rows) -> list[int]:
        """Start the round's clock; return how many levels each row's slots still allow."""
        self.clock.restart()
        last = self._board.padding_slot - 1
        return [last - (length - 1) for length in rows.lengths]

    def tree(self, rows: Rows, most: list[int] | None = None) -> TreeBuilder:
        """Begin this round's tree; ``most`` levels of each row replace a larger room."""
        self._tree = TreeBuilder(self._board, rows, self.engine.device, most)
        return self._tree

    def run(
        self, nodes: Nodes, lo: int, hi: int, skip: Collection[int] = ()
    ) -> Float[Tensor, "batch node hidden"]:
        """Run layers ``lo`` to ``hi`` - 1, but those in ``skip``, on nodes of this round's tree.

        ``lo`` is 0 or where the run before ended. Raises no error of specframe's.
        """
        assert self._tree is not None
        reached, hidden = self._tree.computed(nodes)
        if lo == 0 or hidden is None:
            lo, hidden = 0, self.embed(nodes.tokens)
        assert lo in (0, reached)
        hidden, taps = self.engine.run(
            hidden, nodes.placement, lo, hi, skip=skip, taps=self._needs.taps
        )
        self._tree.record(nodes, hi, hidden, taps)
        return hidden

    def embed(self, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token hidden"]:
        """Return what the first layer reads, without learned positions: ``run`` adds those."""
        return self.engine.embed(tokens)

    def norm(
        self, hidden: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token hidden"]:
        """Apply the final norm."""
        return self.engine.norm(hidden)

    def logits(
        self, normed: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token vocab"]:
        """Apply the head; draft and verify share this."""
        return self.engine.logits(normed)

    def place(self, starts: list[int], counts: list[int]) -> Placement:
        """Place consecutive committed positions of each row, for a drafter's own cache."""
        return self._board.spans(starts, counts)

    @property
    def slots(self) -> int:
        """Return the number of slots a drafter's own cache needs to follow this one's."""
        return self._board.slots

    def capture(self, step: Step) -> Step:
        """Return what runs ``step`` fastest: the step itself, or recordings of it.

        ``step(states, placement)`` maps states ``[batch, token, ...]`` to one tensor of as many
        tokens. It may read and write caches of the drafter's own with ``slots`` slots, and nothing
        else that changes; it reads no value on the host and gives the same when run twice. It may
        get more tokens than were asked for, in the last slot. Capture it again for a new cache.
        """
        return self.engine.capture(step)

    def accept_ahead(self, *, capturable: bool) -> None:
        """Let a device accept drafts where it records passes and the verifier is ``capturable``.

        For any other verifier, which reads logits on the host, the target waits for them.
        """
        self._acceptance = self._recorded if capturable else ON_HOST

    def score(self, rows: Rows, draft: Draft) -> Scores:
        """Return the logits at every node: one pass, resumed at the draft's exit if it has one.

        Nobody waits for a recorded one if the verifier is ``capturable``. Raises PluginError for a
        malformed draft, NumericsError for logits that are not finite; unwaited, ``commit`` does.
        """
        is_built = self._tree is not None and self._tree.closed is draft
        check_proposal(draft, self.engine, rows, self._declared, is_built=is_built)
        self.clock.lap("draft")
        scores = self._score(rows, draft)
        if self._acceptance.waits:
            self._wait(rows, draft)
        return scores

    def _score(self, rows: Rows, draft: Draft) -> Scores:
        exit = draft.exit
        slots = slots_of(rows, draft)
        refuse_overflow(slots, self._board.padding_slot)
        bases = [length - 1 for length in rows.lengths]
        placement = self._board.trees(bases, draft.parent_lists, slots)
        used = max(draft.size_list)  # a draft may have more padding than its largest tree needs
        if exit is None:
            tokens = to_device(_first(used, draft.tokens), self.engine.device)
            if not draft.is_told:  # a token out of vocabulary would end the device, not the decode
                tokens = tokens.clamp(0, self.engine.vocab_size - 1)
            lo, hidden = 0, self.embed(tokens)
        else:
            lo, hidden = exit.layer, _first(used, exit.hidden)
        hidden, taps = self.engine.run(
            hidden, placement, lo, self.engine.num_layers, taps=self._needs.taps
        )
        normed = self.norm(hidden)
        earlier = {layer: _first(used, tap) for layer, tap in exit.taps.items()} if exit else {}
        captured = Captured({**taps, **earlier}, normed if self._needs.normed else None)
        scores = self._scores = Scores(self.logits(normed), captured, self._acceptance)
        scores.read_ahead()
        return scores

    def _wait(self, rows: Rows, draft: Draft) -> None:
        """Wait for draft and scores, one after the other, so each is booked its time; check both.

        There is nothing to send meanwhile, so a device that does both has no gap between them.
        """
        if not draft.is_told:
            check_told(draft, self.engine, rows)
            self.clock.lap("draft")
        assert self._scores is not None
        check_finite(self.engine, rows, self._scores.best[0], draft.depths)
        self.clock.lap("verify")

    def commit(self, rows: Rows, draft: Draft, verdict: Verdict) -> Commit:
        """Cut the accepted path by EOS, stops and budget; keep in the cache what is left.

        Raises PluginError for a malformed verdict, and what ``score`` could not raise yet.
        """
        expect_verdict(verdict)
        slots = slots_of(rows, draft)
        starts = rows.lengths
        if verdict.is_awaited:
            settle_ahead(self.engine, draft, verdict, slots)
        if not self._acceptance.waits:
            self._wait(rows, draft)
        check_verdict(verdict, draft, self.engine.vocab_size)
        self.clock.lap("verify")
        taken, paths = [], []
        for place, row in enumerate(rows.active):
            path = verdict.path_lists[place]
            tokens = [draft.token_lists[place][node] for node in path]
            taken.append(row.commit([*tokens, verdict.next_tokens[place]]))
            paths.append(path[: len(taken[-1])])
        if not verdict.is_awaited:
            self._settle(
                [[slots[place][node] for node in path] for place, path in enumerate(paths)], starts
            )
        reasons = [row.finish_reason for row in rows.active]
        logits = self._logits_after(paths)
        if logits is not None:
            logits = logits[:, : max(map(len, taken))]
        return Commit(taken, paths, reasons, verdict.choices, logits)

    def _settle(self, sources: list[list[int]], starts: list[int]) -> None:
        """Move what was committed next to the prefix."""
        self.engine.gather(sources, starts)

    def keep(self, kept: list[int]) -> None:
        """Keep only the rows ``kept``, in this order."""
        self.engine.keep(kept)

    def _open(self, rows: Rows) -> None:
        longest = max(len(row.tokens) + row.budget for row in rows.active)
        slots = self.engine.rounded(longest + (self._declared.max_nodes or 0) + SPARE_SLOTS)
        if self._board.slots < slots:
            self._board = Board(slots, self.engine.device)
        self.engine.open(len(rows), self._board.slots)

    def _logits_after(self, paths: list[list[int]]) -> Tensor | None:
        if self._scores is None or not self.keeps_logits:
            return None
        nodes = padded([[0, *path] for path in paths], 0)
        index = to_device(nodes, self.engine.device)
        rows = torch.arange(len(paths), device=self.engine.device)[:, None]
        return self._scores.logits[rows, index]


def _first(count: int, states: Tensor) -> Tensor:
    # A look at the shape costs less than a slice of all.
    return states if states.shape[1] == count else states[:, :count]

"""The probe that admits an engine to exact mode: what a strategy can vary must change no bit.

It runs at load, on the engine of the device's runner, and refuses where bits depend on anything
that a strategy can vary: first passes (which are recorded) and larger buffers (which are recorded
anew) among them. A refusal hands over to the next runner: ``fused``, ``graph``, ``eager``, each
probed anew, with one warning that says why.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from jaxtyping import Float
from torch import Tensor

from specframe._engine.engine import Engine
from specframe._engine.placement import Board
from specframe._errors import ModelError
from specframe._exact.exact_engine import BLOCK, SLOTS, ExactEngine
from specframe._words import dtype_name

LENGTHS = (SLOTS, 4 * SLOTS)  # cache lengths that are tried
PROMPT_TOKENS = 20


@torch.inference_mode()
def admit_exact(engine: Engine) -> ExactEngine:
    """Return ``engine`` in exact mode, or raise ModelError naming what its bits depend on.

    Random tokens are scored one by one, as plain decoding does; then in other ways that strategies
    score them, each of which must give the same bits. The first passes of each shape are among
    them, where the engine records; so are those on new buffers.
    """
    exact = ExactEngine(engine.twin())
    for length in LENGTHS:
        probe = Probe.at(exact, length)
        plain = probe.one_by_one(probe.chain)
        for what, logits in probe.variants():
            if not torch.equal(logits, plain[:, : logits.shape[1]]):
                raise NotExactError(engine, what)
    return exact


class NotExactError(ModelError):
    """Exact mode cannot be kept by an engine; ``reason`` says what its bits depend on."""

    def __init__(self, engine: Engine, what: str) -> None:
        dtype = dtype_name(engine.dtype)
        other = "float64" if dtype == "float32" else "float32"
        self.reason = f"{what} changes the bits of a token's logits"
        super().__init__(
            f"exact mode is refused: in {dtype} on {engine.device}, {self.reason}. Take another "
            f"dtype (--dtype {other}), or decode without --exact"
        )


@attrs.frozen
class Probe:
    """Score one random chain after one random prompt, in several ways."""

    engine: ExactEngine
    length: int
    prompt: list[int]
    chain: list[int]
    others: list[int]

    @classmethod
    def at(cls, engine: ExactEngine, length: int) -> Probe:
        """Draw the tokens; ``others`` fill the cache, and replace the chain's second half."""
        generator = torch.Generator().manual_seed(length)
        parts = (PROMPT_TOKENS, BLOCK, length)
        drawn = torch.randint(engine.vocab_size, (sum(parts),), generator=generator).tolist()
        prompt, chain, others = (
            drawn[sum(parts[:i]) : sum(parts[: i + 1])] for i in range(len(parts))
        )
        return cls(engine, length, prompt, chain, others)

    def variants(self) -> Sequence[tuple[str, Float[Tensor, "one token vocab"]]]:
        """Return, for each thing that a strategy can vary, what it is and the logits."""
        half = BLOCK // 2
        beside = [*self.chain[:half], *self.others[:half]]
        return (
            ("standing in a block with others", self.together(self.chain)),
            ("what stands in the rest of a block", self.together(beside)[:, :half]),
            ("what masked slots hold", self.together(self.chain, stale=self.others)),
            ("running the lower layers ahead, token by token,", self.in_parts(self.chain)),
            # The last one: the larger buffers stay.
            ("the size of the cache's buffers", self.together(self.chain, spare=2 * SLOTS)),
        )

    def one_by_one(self, tokens: list[int]) -> Tensor:
        """Score each token in a block of its own."""
        self._fill()
        logits = [
            self._logits(self._run(self._embed([token]), at, 0)) for at, token in enumerate(tokens)
        ]
        return torch.cat(logits, dim=1)

    def together(self, tokens: list[int], stale: Sequence[int] = (), spare: int = 0) -> Tensor:
        """Score all tokens in one block; ``stale`` tokens were in the cache before.

        ``spare`` slots are in the buffers that no pass reads.
        """
        self._fill(stale, spare)
        return self._logits(self._run(self._embed(tokens), 0, 0))

    def in_parts(self, tokens: list[int]) -> Tensor:
        """Run the lower half of the layers token by token, then the upper half on all of them."""
        self._fill()
        exit = self.engine.num_layers // 2
        states = [self._run(self._embed([token]), at, 0, exit) for at, token in enumerate(tokens)]
        return self._logits(self._run(torch.cat(states, dim=1), 0, exit))

    def _fill(self, stale: Sequence[int] = (), spare: int = 0) -> None:
        self.engine.expect([self.length])
        self.engine.open(1, self.length + spare)
        if stale:
            self.engine.fill(0, list(stale))
        self.engine.fill(0, self.prompt)

    def _embed(self, tokens: list[int]) -> Tensor:
        return self.engine.embed(torch.tensor([tokens], device=self.engine.device))

    def _run(self, hidden: Tensor, at: int, lo: int, hi: int | None = None) -> Tensor:
        board = Board(self.length, self.engine.device)
        placement = board.chain(len(self.prompt) + at, hidden.shape[1])
        end = self.engine.num_layers if hi is None else hi
        return self.engine.run(hidden, placement, lo, end)[0]

    def _logits(self, hidden: Tensor) -> Tensor:
        return self.engine.logits(self.engine.norm(hidden))

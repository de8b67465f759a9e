"""What a trace holds; docs/trace.md describes the file for programs that read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from specframe._errors import InputError

SCHEMA = 1
Seconds = Mapping[str, float]


@attrs.frozen(kw_only=True)
class Header:
    """Hold what was asked for, and of which model; ``limits`` are the arguments of the decode."""

    schema: int
    prompt: str | None
    prompt_token_ids: list[int]
    strategy: str
    options: dict[str, Any]
    verifier: str
    stop_policy: str
    guarantee: str
    model: str
    dtype: str
    device: str
    exact: bool
    seed: int
    limits: dict[str, Any]
    created: str
    versions: dict[str, str | None]


@attrs.frozen(kw_only=True)
class RoundRecord:
    """Hold one round; the prefill is round 0, which commits a token and drafts none.

    ``draft_parents`` and ``path``, the accepted drafts from the root downwards, index into
    ``draft_tokens``; -1 is the root. ``target_tokens`` are the target's choices after the root and
    after each draft. Texts are None without a tokenizer; the text of a token that ends within a
    character is empty, and the next one has the whole character.
    """

    round: int
    draft_tokens: list[int]
    draft_parents: list[int]
    draft_texts: list[str] | None
    draft_confidences: list[float | None] | None
    draft_p: list[float | None] | None
    draft_q: list[float | None] | None
    target_tokens: list[int]
    target_texts: list[str] | None
    path: list[int]
    committed: list[int]
    committed_texts: list[str] | None
    committed_p: list[float | None] | None
    seconds: dict[str, float]

    def __attrs_post_init__(self) -> None:
        """Refuse lists that do not belong together."""
        drafted, committed = len(self.draft_tokens), len(self.committed)
        lengths = {
            "draft_parents": drafted,
            "draft_texts": drafted,
            "draft_confidences": drafted,
            "draft_p": drafted,
            "draft_q": drafted,
            "committed_texts": committed,
            "committed_p": committed,
            "target_texts": len(self.target_tokens),
        }
        for name, length in lengths.items():
            found = getattr(self, name)
            if found is not None and len(found) != length:
                raise InputError(f"{name} has {len(found)} entries and should have {length}")
        if not all(-1 <= above < at for at, above in enumerate(self.draft_parents)):
            raise InputError("draft_parents names a parent that does not stand before its child")
        if len(self.target_tokens) not in {0, drafted + 1}:
            raise InputError(
                f"target_tokens has {len(self.target_tokens)} entries and should have "
                f"{drafted + 1}, or none"
            )
        if not committed or len(self.path) > committed or not self._is_path():
            raise InputError("path is no path of drafts from the root, or committed is empty")

    def _is_path(self) -> bool:
        above = [-1, *self.path]
        return all(
            0 <= node < len(self.draft_tokens) and self.draft_parents[node] == before
            for before, node in zip(above, self.path, strict=False)
        )

    @property
    def end(self) -> int:
        """Return the last accepted draft, -1 if there is none."""
        return self.path[-1] if self.path else -1

    def children(self, node: int) -> list[int]:
        """Return the children of ``node`` in the order in which they were drawn."""
        return [at for at, above in enumerate(self.draft_parents) if above == node]


@attrs.frozen(kw_only=True)
class End:
    """Hold how a decode ended; without a reason it was interrupted."""

    finish_reason: str | None
    metrics: dict[str, Any]


@attrs.frozen
class Trace:
    """Hold a trace; ``end`` is None if the decode was cut off. Round 0 comes first."""

    header: Header
    rounds: list[RoundRecord]
    end: End | None = None

    @property
    def token_ids(self) -> list[int]:
        """Return the new tokens."""
        return [token for round in self.rounds for token in round.committed]

"""The new tokens of a trace: what each of them is, and what was rejected there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import attrs

from specframe._trace.records import RoundRecord, Trace
from specframe._trace.visible_text import NOTHING, named, shown

# In the order of the legend: name, letter in the page, what it means.
KINDS = {
    "accepted": ("a", "drafted, and the target agreed"),
    "corrected": ("c", "the target's own, where it rejected a draft"),
    "bonus": ("b", "the target's own, after a draft accepted to its end"),
    "plain": ("t", "the target's own, where nothing was drafted"),
    "prefill": ("p", "the first one, chosen after the prompt"),
}
CHUNK = 160  # about as many tokens are laid out at a time
LONGEST_CHUNK = 400  # a text without line breaks is broken here


@attrs.frozen
class Token:
    """Hold a new token as the page shows it.

    ``rejected`` is the text of the first draft rejected in its place, ``more`` how many others
    were, ``place`` its index among the new tokens.
    """

    place: int
    text: str
    kind: str
    begins_round: bool = False
    rejected: str = ""
    more: int = 0
    differs: bool = False

    @property
    def letter(self) -> str:
        """Return the class of its kind in the page."""
        return KINDS[self.kind][0]

    @property
    def first_line(self) -> str:
        """Return its text up to the first line break."""
        return self.text.split("\n", 1)[0]

    @property
    def further_lines(self) -> list[str]:
        """Return its text after each line break."""
        return self.text.split("\n")[1:]


def tokens_of(trace: Trace, difference: int | None = None) -> list[Token]:
    """Return the new tokens; the one at ``difference`` is marked."""
    tokens: list[Token] = []
    for round in trace.rounds:
        for at in range(len(round.committed)):
            rejected, more = rejected_at(round, at)
            tokens.append(
                Token(
                    place=len(tokens),
                    text=_text(round, at),
                    kind=kind_of(round, at),
                    begins_round=at == 0,
                    rejected=rejected,
                    more=more,
                    differs=len(tokens) == difference,
                )
            )
    return tokens


def kind_of(round: RoundRecord, at: int) -> str:
    """Return what the committed token at ``at`` is."""
    if at < len(round.path):
        return "accepted"
    if round.round == 0:
        return "prefill"
    if not round.draft_tokens:
        return "plain"
    return "corrected" if round.children(round.end) else "bonus"


def rejected_at(round: RoundRecord, at: int) -> tuple[str, int]:
    """Return the text of the first rejected draft at a place, and how many more there were."""
    above = [-1, *round.path][at]
    taken = round.path[at] if at < len(round.path) else None
    others = [node for node in round.children(above) if node != taken]
    if not others:
        return "", 0
    line = list(_first_line(round, others[0]))
    texts = round.draft_texts
    words = "".join(
        named(None if texts is None else texts[node], round.draft_tokens[node]) for node in line
    )
    below = sum(1 for other in others for _ in _all_below(round, other))
    return words, below - len(line)


def counts_of(tokens: Iterable[Token]) -> dict[str, int]:
    """Return how many tokens are of each kind; kinds without any are left out."""
    found = Counter(token.kind for token in tokens)
    return {kind: found[kind] for kind in KINDS if found[kind]}


def chunks_of(tokens: list[Token]) -> Iterator[list[Token]]:
    """Yield the tokens in parts of about CHUNK that end with a line break if possible."""
    part: list[Token] = []
    for token in tokens:
        part.append(token)
        ends_line = token.text.endswith("\n")
        if (len(part) >= CHUNK and ends_line) or len(part) >= LONGEST_CHUNK:
            yield part
            part = []
    if part:
        yield part


def _text(round: RoundRecord, at: int) -> str:
    if round.committed_texts is None:
        return f"[{round.committed[at]}]"
    return shown(round.committed_texts[at]) or NOTHING


def _first_line(round: RoundRecord, node: int) -> Iterator[int]:
    """Yield a draft, its first child, that one's first child and so on."""
    while True:
        yield node
        below = round.children(node)
        if not below:
            return
        node = below[0]


def _all_below(round: RoundRecord, node: int) -> Iterator[int]:
    """Yield a draft and all drafts below it."""
    below = {node}
    yield node
    for child in range(node + 1, len(round.draft_parents)):
        if round.draft_parents[child] in below:
            below.add(child)
            yield child

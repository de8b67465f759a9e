"""From what ``generate`` prepared to rows: prompts without padding, processors, stops, seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch
from jaxtyping import Int
from torch import Tensor

from specframe._decoder.request import fitting_ids
from specframe._errors import InputError
from specframe._loading.loading import Loaded
from specframe._round.rows import Processor, Row
from specframe._round.stops import Stops
from specframe._sampling.warping import processors_of

# The warpers that a sampler has itself, in the order in which both apply them.
WARPERS = {
    "TemperatureLogitsWarper": "temperature",
    "TopKLogitsWarper": "top_k",
    "TopPLogitsWarper": "top_p",
    "MinPLogitsWarper": "min_p",
}
CLOCK = "MaxTimeCriteria"  # stops all rows at once
OF_TRANSFORMERS = (CLOCK, "StopStringCriteria")  # they read no scores


@attrs.frozen(eq=False)
class Chain:
    """Hold how tokens are chosen: what a sampler does itself, and processors before it."""

    settings: dict[str, float]
    processors: tuple[Processor, ...]

    @classmethod
    def of(cls, processors: Sequence[Any], *, is_sampled: bool) -> Chain:
        """Take the last warpers, those in a sampler's own order, out of ``processors``."""
        if not is_sampled:
            return cls({"temperature": 0.0}, processors_of(list(processors)))
        rest = list(processors)
        if rest and type(rest[-1]).__name__ == "LogitNormalization":
            rest.pop()  # it adds one number to all logits, which changes no choice
        settings: dict[str, float] = {}
        names = list(WARPERS)
        while rest and type(rest[-1]).__name__ in names and _is_usual(rest[-1]):
            name = type(rest[-1]).__name__
            settings[WARPERS[name]] = getattr(rest.pop(), WARPERS[name])
            names = names[: names.index(name)]
        return cls({"temperature": 1.0, **settings}, processors_of(rest))

    def on_row(self, place: int, lead: Int[Tensor, " token"]) -> tuple[Processor, ...]:
        """Return the processors for the row at ``place`` of the batch.

        They see the padding ``lead`` before its prompt, as in ``generate``.
        """
        own = (_on_row(processor, place) for processor in self.processors)
        return tuple(_with_lead(processor, lead) for processor in own) if len(lead) else tuple(own)


def _is_usual(warper: Any) -> bool:
    """Tell whether a warper does what the sampler's own does: cut to minus infinity."""
    return (
        getattr(warper, "filter_value", -math.inf) == -math.inf
        and getattr(warper, "min_tokens_to_keep", 1) == 1
        and getattr(warper, "top_p", 1) > 0
    )


def _on_row(processor: Any, place: int) -> Processor:
    name = type(processor).__name__
    if name == "RepetitionPenaltyLogitsProcessor":
        ignored = processor.prompt_ignore_length
        if isinstance(ignored, Tensor):  # one number a row
            return type(processor)(processor.penalty, int(ignored[place]))  # type: ignore[no-any-return]
    if name == "PrefixConstrainedLogitsProcessor":
        allowed = processor._prefix_allowed_tokens_fn  # noqa: SLF001 (no public name)
        return type(processor)(lambda _, ids: allowed(place, ids), 1)  # type: ignore[no-any-return]
    return processor  # type: ignore[no-any-return]


def _with_lead(processor: Processor, lead: Tensor) -> Processor:
    def process(ids: Tensor, scores: Tensor) -> Tensor:
        return processor(torch.cat([lead[None].to(ids), ids], dim=1), scores)

    return process


@attrs.frozen(eq=False)
class Ends:
    """Hold what ends a row: end tokens, the length with padding, and other criteria."""

    eos: frozenset[int]
    length: float
    criteria: tuple[Any, ...]

    @classmethod
    def of(cls, criteria: Sequence[Any]) -> Ends:
        """Sort the stopping criteria that ``generate`` prepared."""
        eos: frozenset[int] = frozenset()
        length = math.inf
        others = []
        for criterion in criteria:
            name = type(criterion).__name__
            if name == "EosTokenCriteria":
                eos |= frozenset(criterion.eos_token_id.flatten().tolist())
            elif name == "MaxLengthCriteria":
                length = min(length, criterion.max_length)
            else:
                others.append(criterion)
        return cls(eos, length, tuple(others))

    @property
    def custom(self) -> tuple[Any, ...]:
        """Return the criteria that are not transformers' own."""
        return tuple(each for each in self.criteria if type(each).__name__ not in OF_TRANSFORMERS)

    @property
    def by_row(self) -> tuple[Any, ...]:
        """Return the criteria that may stop one row without another."""
        return tuple(each for each in self.criteria if type(each).__name__ != CLOCK)

    def on_row(self, ids: Int[Tensor, " token"], lead: int, context: int) -> Stops:
        """Return the stops of a row of ``ids``, of which ``lead`` are padding."""
        most = max(1, min(self.length - len(ids), context))
        criteria = tuple(_criterion(each, ids[:lead]) for each in self.criteria)
        return Stops(int(most), context, self.eos, criteria=criteria)


def _criterion(criterion: Any, lead: Tensor) -> Callable[[Sequence[int]], bool]:
    """Wrap a criterion for one row; it sees the padding, and tokens on the prompt's device."""

    def is_met(tokens: Sequence[int]) -> bool:
        ids = torch.cat([lead, torch.tensor(list(tokens)).to(lead)])
        return bool(torch.as_tensor(criterion(ids[None], None)).any())

    return is_met


def rows_of(
    input_ids: Int[Tensor, "batch token"],
    leads: Sequence[int],
    chain: Chain,
    ends: Ends,
    loaded: Loaded,
) -> list[Row]:
    """Return a row for each prompt without its padding of ``leads`` tokens."""
    seeds = [0] * len(leads)
    if chain.settings["temperature"]:  # from torch's generator, so that its seed decides here too
        seeds = torch.randint(2**31, (len(leads),)).tolist()
    rows = []
    for place, (ids, lead) in enumerate(zip(input_ids, leads, strict=True)):
        prompt = fitting_ids(ids[lead:].tolist(), loaded)
        stops = ends.on_row(ids, lead, loaded.engine.context)
        processors = chain.on_row(place, ids[:lead])
        row = Row(place, len(prompt), prompt, stops, seeds[place], processors=processors)
        rows.append(row)
    return rows


def leads_of(
    input_ids: Int[Tensor, "batch token"], mask: Tensor | None, positions: Tensor | None
) -> list[int]:
    """Return how many padding tokens are before each prompt.

    Raises InputError for padding elsewhere, and for other positions.
    """
    batch, width = input_ids.shape
    seen = torch.ones(batch, width, dtype=torch.bool) if mask is None else mask.cpu() != 0
    if seen.shape != input_ids.shape:
        raise InputError(
            f"attention_mask has shape {list(seen.shape)} and input_ids {[batch, width]}: give one "
            "number a token"
        )
    leads: list[int] = (~seen).cumprod(dim=1).sum(dim=1).tolist()
    for place, lead in enumerate(leads):
        if not bool(seen[place, lead:].all()):
            raise InputError(
                f"attention_mask hides tokens in the middle or at the end of row {place}: pad on "
                "the left (padding_side='left')"
            )
    if positions is not None:
        _refuse_other_positions(positions.cpu().expand(batch, -1), leads)
    return leads


def _refuse_other_positions(positions: Tensor, leads: Sequence[int]) -> None:
    for place, lead in enumerate(leads):
        count = positions.shape[1] - lead
        if positions[place, lead:].tolist() != list(range(count)):
            raise InputError(
                f"position_ids of row {place} do not count its tokens from 0: leave them out"
            )

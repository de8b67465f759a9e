"""Load the competitors: names are checked first, weights read once, faults kept apart."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence

import attrs
import torch

from specframe import _defaults
from specframe._assembly.assembly import assemble
from specframe._errors import InputError, OptionError, UnknownNameError
from specframe._loading.loading import Loaded, Source, load_model
from specframe._plugins.registry import Registry
from specframe._words import suggestion
from specframe.bench._competitor import Competitor, Draws
from specframe.bench._contestants import Contestant
from specframe.bench._memory import CudaGauge, MemoryLedger, ResidentGauge
from specframe.bench._records import StrategyRecord
from specframe.bench._runner import message_of
from specframe.bench._specframe_competitor import WEIGHTS, SpecframeCompetitor
from specframe.bench._transformers_competitor import STOCK, StockModel, TransformersCompetitor
from specframe.bench._transformers_options import BASELINES, baseline_options

NOT_LOADED = "it was not loaded"


@attrs.frozen
class LineUp:
    """Hold all who compete, by name; of those that failed to load there is a record alone."""

    loaded: Loaded
    stock: StockModel | None
    competitors: Mapping[str, Competitor]
    records: list[StrategyRecord]
    ledger: MemoryLedger


def check_contestants(contestants: Sequence[Contestant], registry: Registry) -> None:
    """Raise for unknown names and options, before anything is loaded.

    Other faults, such as a plug-in that cannot be imported, become that strategy's row.
    """
    for each in contestants:
        if each.strategy in BASELINES:
            baseline_options(each)
            continue
        try:
            assemble(registry, each.strategy, each.verifier, each.stop_policy, dict(each.options))
        except UnknownNameError as error:
            raise _with_baselines(each, error) from None
        except OptionError:
            raise
        except Exception:  # noqa: BLE001, S112 (it fails again where its row is made)
            continue


def load_competitors(
    source: Source, contestants: Sequence[Contestant], registry: Registry, draws: Draws
) -> LineUp:
    """Load the model and prepare all contestants on it; what fails becomes a record's error."""
    importlib.import_module("transformers").AutoModelForCausalLM  # noqa: B018 (its code is no weight)
    resident = ResidentGauge()
    before = resident.now() or 0
    loaded = load_model(source, registry)
    ledger = _ledger(loaded.engine.device, resident, before)
    stock = _stock(loaded, contestants, ledger)
    competitors: dict[str, Competitor] = {}
    records = []
    for each in contestants:
        try:
            with ledger.booked(each.name):
                competitor = _competitor(each, loaded, stock, registry, draws)
        except Exception as error:  # noqa: BLE001 (one that fails must not cost the others)
            records.append(_failed(each, message_of(error)))
            continue
        competitors[each.name] = competitor
        records.append(competitor.record)
    return LineUp(
        loaded, stock if isinstance(stock, StockModel) else None, competitors, records, ledger
    )


def _stock(
    loaded: Loaded, contestants: Sequence[Contestant], ledger: MemoryLedger
) -> StockModel | str:
    """Return transformers' copy of the model, or why there is none."""
    if not any(each.strategy in BASELINES for each in contestants):
        return "nobody asked for transformers' own copy of the model"
    try:
        with ledger.booked(STOCK):
            return StockModel(loaded)
    except Exception as error:  # noqa: BLE001 (ours run without it)
        return f"transformers' own copy of the model could not be made: {message_of(error)}"


def _competitor(
    contestant: Contestant,
    loaded: Loaded,
    stock: StockModel | str,
    registry: Registry,
    draws: Draws,
) -> Competitor:
    if contestant.strategy not in BASELINES:
        return SpecframeCompetitor(contestant, loaded, registry, draws)
    if isinstance(stock, str):
        raise InputError(stock)
    return TransformersCompetitor(contestant, baseline_options(contestant), stock, draws)


def _ledger(device: torch.device, resident: ResidentGauge, before: int) -> MemoryLedger:
    if device.type == "cuda":
        return MemoryLedger(CudaGauge(device), 0, WEIGHTS)
    return MemoryLedger(resident, before, WEIGHTS)


def _failed(contestant: Contestant, error: str) -> StrategyRecord:
    return StrategyRecord(
        name=contestant.name,
        kind="transformers" if contestant.strategy in BASELINES else "specframe",
        strategy=contestant.strategy,
        options=dict(contestant.options),
        verifier=contestant.verifier,
        stop_policy=contestant.stop_policy,
        guarantee=None,
        state=NOT_LOADED,
        error=error,
    )


def _with_baselines(contestant: Contestant, error: UnknownNameError) -> UnknownNameError:
    """Return the error about an unknown name; one that begins with hf lists transformers' own."""
    if not contestant.strategy.startswith(_defaults.GENERATE):
        return error
    known = sorted(BASELINES)
    return UnknownNameError(
        f"unknown strategy '{contestant.strategy}'{suggestion(contestant.strategy, known)} "
        f"transformers' own are {', '.join(known)}; plain decoding is {_defaults.PLAIN}"
    )

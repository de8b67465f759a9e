"""Decoding with the conformance kit's table targets, as the core's own tests do it."""

import torch

from specframe import Sampler, StopPolicy, Target
from specframe import rounds as loop
from specframe.testing._rows import make_rows
from specframe.testing._table_target import Table, TableEngine, check_start, seen_slots, visibility
from specframe_verifiers._match import GreedyVerifier

__all__ = [
    "Table",
    "TableEngine",
    "check_start",
    "make_rows",
    "run",
    "seen_slots",
    "visibility",
]

torch.set_num_threads(1)  # on tensors this small a second thread only waits for the first


def run(table, drafter, rows, *, stop=None, keeps_logits=False, extra_nodes=16):
    """Decode ``rows`` with a TableEngine; return its rounds and the engine."""
    engine = TableEngine(table)
    target = Target(engine, extra_nodes=extra_nodes, keeps_logits=keeps_logits)
    drafter.prepare(target)
    rounds = list(loop(target, drafter, GreedyVerifier(), stop or StopPolicy(), Sampler(), rows))
    return rounds, engine

"""Traces: what a decode did, token by token, as lines of JSON and as a page; imports no torch."""

from __future__ import annotations

from specframe._trace._page import render_comparison, render_trace
from specframe._trace._reading import read_trace
from specframe._trace._records import SCHEMA, Header, RoundRecord, Trace
from specframe._trace._writing import TraceFile, check_path

__all__ = [
    "SCHEMA",
    "Header",
    "RoundRecord",
    "Trace",
    "TraceFile",
    "check_path",
    "read_trace",
    "render_comparison",
    "render_trace",
]

"""Traces: what a decode did, token by token, as JSON lines and as a page; imports no torch."""

from __future__ import annotations

from specframe._trace.page import render_comparison, render_trace
from specframe._trace.reading import read_trace
from specframe._trace.records import SCHEMA, Header, RoundRecord, Trace
from specframe._trace.writing import TraceFile, check_path

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

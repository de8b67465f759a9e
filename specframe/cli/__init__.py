"""The command line: ``specframe`` and ``python -m specframe``."""

from __future__ import annotations

from specframe.cli._app import main

__all__ = ["main"]

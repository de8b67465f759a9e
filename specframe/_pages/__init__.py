"""The look that all pages share, of a benchmark's report and of traces."""

from __future__ import annotations

from pathlib import Path
from typing import Final

STYLES: Final = Path(__file__).parent
"""The folder of ``page.css``, for templates to include."""

"""Run the command line as ``python -m specframe``."""

from __future__ import annotations

import sys

from specframe.cli import main

if __name__ == "__main__":
    sys.exit(main())

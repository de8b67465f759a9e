"""Names on the hub, told from paths on any system."""

from __future__ import annotations

import re
from typing import Final

# An owner and a slash may be left out; nothing else of a path can stand in it: no drive, no
# backslash, no second or trailing slash, no dot or tilde that leads to another folder.
HUB_ID: Final = re.compile(r"(?:[\w-][\w.-]*/)?[\w-][\w.-]*", re.ASCII)


def is_hub_id(name: str) -> bool:
    """Say whether a model of this name could be on the hub; anything else is a path."""
    return HUB_ID.fullmatch(name) is not None

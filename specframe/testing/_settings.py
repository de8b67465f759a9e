"""How much is tested: what the pytest options say, carried in the environment.

The environment reaches worker processes too, and serves those who do not use pytest.
"""

from __future__ import annotations

import os

import attrs

from specframe._errors import InputError

PREFIX = "SPECFRAME_TESTING_"


@attrs.frozen
class KitSettings:
    """Say how many examples each property gets and from which seed; ``level`` wins over code's."""

    max_examples: int = 20
    seed: int = 0
    level: str | None = None

    @classmethod
    def of_environment(cls) -> KitSettings:
        """Read what the pytest plug-in, or the user, has set."""
        return cls(
            max_examples=_number("MAX_EXAMPLES", 20, least=1),
            seed=_number("SEED", 0, least=0),
            level=os.environ.get(f"{PREFIX}LEVEL"),
        )


def _number(name: str, default: int, *, least: int) -> int:
    text = os.environ.get(PREFIX + name, str(default))
    if not text.isdigit() or int(text) < least:
        raise InputError(f"{PREFIX}{name} must be a whole number >= {least}, got {text!r}")
    return int(text)

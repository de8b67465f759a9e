"""Names on the hub, told from paths on any system."""

from __future__ import annotations


def is_hub_id(name: str) -> bool:
    """Tell whether a model of this name could be on the hub; anything else is a path."""
    # A path that exists needs none of this. The second name is public, but not to mypy.
    from huggingface_hub.errors import HFValidationError  # noqa: PLC0415
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # noqa: PLC0415

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return name.isascii()  # older releases of huggingface_hub take any letter

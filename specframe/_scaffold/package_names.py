"""The names in a new package, and which names and words are refused."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal, get_args

import attrs

from specframe import _defaults
from specframe._errors import InputError
from specframe._plugins.hooks import GROUP

if TYPE_CHECKING:
    from specframe._plugins.registry import Registry

KindName = Literal["drafter", "verifier", "stop-policy", "strategy"]
Licence = Literal["Apache-2.0", "MIT", "BSD-3-Clause", "none"]
LICENCES: Final[tuple[Licence, ...]] = get_args(Licence)
LONGEST: Final = 32  # lines of code that hold the name stay within 88 characters
_PLAIN_NAME: Final = re.compile(r"[A-Za-z](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SEPARATORS: Final = re.compile(r"[-_.]+")
_ENDINGS: Final = ("Drafter", "Verifier", "StopPolicy", "Policy", "Strategy")


@attrs.frozen
class Kind:
    """Hold the words for one kind: its noun, what the plug-in does, the flag that chooses it."""

    noun: str
    summary: str
    flag: str

    def arguments(self, name: str) -> str:
        """Return the arguments of ``specframe decode`` that choose the plug-in ``name``."""
        return f"{self.flag} {name}"

    def check(self, name: str) -> str:
        """Return those of ``specframe check``, where a strategy has no flag."""
        if self.flag == "--strategy":
            return name
        return f"{_defaults.STRATEGY} {self.arguments(name)}"


KINDS: Final[dict[KindName, Kind]] = {
    "drafter": Kind("drafter", "copy what followed the last token before", "--strategy"),
    "verifier": Kind(
        "verifier",
        "keep what plain decoding with the same seed would have produced (lossless)",
        "--verifier",
    ),
    "stop-policy": Kind(
        "stop policy",
        "stop drafting when the draft as a whole has become unlikely",
        "--stop-policy",
    ),
    "strategy": Kind(
        "strategy",
        "draft with the model's first layers until the draft has become unlikely",
        "--strategy",
    ),
}


@attrs.frozen
class Names:
    """Derive the other names from a plug-in's name, which stays as it was typed."""

    name: str

    @property
    def package(self) -> str:
        """Return the import package: prefixed, so that site-packages gets no generic name."""
        plain = _SEPARATORS.sub("_", self.name).lower()
        return plain if plain.startswith(f"{GROUP}_") else f"{GROUP}_{plain}"

    @property
    def distribution(self) -> str:
        """Return pip's name for it."""
        return self.package.replace("_", "-")

    @property
    def stem(self) -> str:
        """Return the beginning of its class names; the kind is not said twice."""
        whole = "".join(word[0].upper() + word[1:] for word in _SEPARATORS.split(self.name))
        for ending in _ENDINGS:
            whole = whole.removesuffix(ending) or whole
        return whole


@attrs.frozen
class Author:
    """Say who holds the copyright, since which year, and under which licence."""

    name: str
    year: int
    licence: Licence


def check_name(name: str) -> None:
    """Raise InputError for a name that no package can have."""
    if not _PLAIN_NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name a package: take letters, digits and single '-', '_' or '.' "
            "between them, a letter first"
        )
    if len(name) > LONGEST:
        raise InputError(f"'{name}' has {len(name)} characters: take {LONGEST} at most")
    if keyword.iskeyword(name):
        raise InputError(f"'{name}' is a keyword of Python: choose another name")


def refuse_taken(kind: KindName, names: Names, registry: Registry) -> None:
    """Raise InputError if a plug-in of this environment has one of the names already.

    Two plug-ins of one name could not be installed side by side. Entry points are looked at too:
    their plug-ins may be broken, or left out by ``SPECFRAME_PLUGINS``.
    """
    for noun, owner in _registered(kind, names.name, registry):
        raise InputError(
            f"there is a {noun} '{names.name}' already, of {owner}: choose another name"
        )
    for entry_point in metadata.entry_points(group=GROUP, name=names.name):
        owner = entry_point.dist.name if entry_point.dist else entry_point.module
        raise InputError(
            f"there is a plug-in '{names.name}' already, of {owner}: choose another name"
        )
    if find_spec(names.package) is not None or _is_installed(names.distribution):
        raise InputError(
            f"{names.distribution} is installed here already: choose another name than "
            f"'{names.name}', or uninstall it"
        )


def _registered(kind: KindName, name: str, registry: Registry) -> Iterable[tuple[str, object]]:
    """Yield what is registered under a name in the tables for plug-ins of this kind."""
    is_strategy = kind in {"drafter", "strategy"}
    if is_strategy and name in registry.strategies:
        yield "strategy", registry.strategies[name].plugin
    if is_strategy and name in registry.drafters:
        yield "drafter", registry.drafters[name].plugin
    if kind in {"stop-policy", "strategy"} and name in registry.stop_policies:
        yield "stop policy", registry.stop_policies[name].plugin
    if kind == "verifier" and name in registry.verifiers:
        yield "verifier", registry.verifiers[name].plugin


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def summary_of(told: str) -> str:
    """Return a summary without a full stop at its end; raises InputError if it is none.

    It is put into TOML, Python and Markdown unchanged, so nothing in it may need escaping.
    """
    summary = told.strip().removesuffix(".").rstrip()
    if not summary or not summary.isprintable() or set(summary) & set('"\\'):
        raise InputError(
            f"the summary is {told!r}: give one line without double quotes and backslashes"
        )
    return summary

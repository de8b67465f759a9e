"""What a new package is called and made from, and which names and words are refused."""

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
    """Say what differs in words: what the plug-in does, and how it is named when it decodes."""

    noun: str
    summary: str
    flag: str

    def arguments(self, name: str) -> str:
        """Return what chooses the plug-in ``name`` behind ``specframe decode``."""
        return f"{self.flag} {name}"

    def check(self, name: str) -> str:
        """Return what chooses it behind ``specframe check``, where the strategy stands alone."""
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
    """Derive from a plug-in's name, which stays as it was typed, what else is named after it."""

    name: str

    @property
    def package(self) -> str:
        """Return the import package: prefixed, so that nothing generic lands in site-packages."""
        plain = _SEPARATORS.sub("_", self.name).lower()
        return plain if plain.startswith(f"{GROUP}_") else f"{GROUP}_{plain}"

    @property
    def distribution(self) -> str:
        """Return what pip calls it."""
        return self.package.replace("_", "-")

    @property
    def stem(self) -> str:
        """Return what the names of its classes begin with; their kind is not said twice."""
        whole = "".join(word[0].upper() + word[1:] for word in _SEPARATORS.split(self.name))
        for ending in _ENDINGS:
            whole = whole.removesuffix(ending) or whole
        return whole


@attrs.frozen
class Author:
    """Say who holds the copyright, in which year, and what others may do."""

    name: str
    year: int
    licence: Licence


def check_name(name: str) -> None:
    """Refuse, by InputError, a name of which no package can be made."""
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
    what they stand for may be broken, or left out by ``SPECFRAME_PLUGINS``.
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
    """Yield what is registered under a name in the tables that a plug-in of this kind goes to."""
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
    """Return a summary without a full stop at its end; raises InputError for what is no summary.

    It goes into TOML, into Python and into Markdown as it is, so nothing in it may need escaping.
    """
    summary = told.strip().removesuffix(".").rstrip()
    if not summary or not summary.isprintable() or set(summary) & set('"\\'):
        raise InputError(
            f"the summary is {told!r}: give one line without double quotes and backslashes"
        )
    return summary

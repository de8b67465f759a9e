"""Write a package with one plug-in: the template's files, filled."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from specframe import _defaults
from specframe._errors import InputError
from specframe._plugins.hooks import API_VERSION
from specframe._scaffold.package_names import KINDS, Author, KindName, Names

if TYPE_CHECKING:
    import jinja2

TEMPLATE: Final = Path(__file__).parent / "templates" / "plugin"
FILLED: Final = ".jinja"  # files with this ending are filled and lose it; others are copied


def check_folder(folder: Path) -> None:
    """Raise InputError for a folder that is not empty, and for what is no folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "is not empty" if folder.is_dir() else "is no folder"
        raise InputError(f"'{folder}' {what}: name another folder with --output")


def write_package(
    kind: KindName, names: Names, summary: str, author: Author, folder: Path
) -> list[Path]:
    """Write the package to ``folder``, completely or not at all; return its files, relative to it.

    ``summary`` is as ``summary_of`` returns it; ``check_folder`` has accepted ``folder``. The
    package is rendered beside its place and then moved there.
    """
    there = folder.absolute()
    beside = next(parent for parent in there.parents if parent.is_dir())
    with tempfile.TemporaryDirectory(dir=beside, prefix=".specframe-new-") as scratch:
        rendered = Path(scratch) / "package"
        _render(rendered, kind, values(kind, names, summary, author))
        files = sorted(path.relative_to(rendered) for path in rendered.rglob("*") if path.is_file())
        _move(rendered, there)
    return files


def values(kind: KindName, names: Names, summary: str, author: Author) -> dict[str, object]:
    """Return what the template's files are filled with."""
    told = KINDS[kind]
    return {
        "api": API_VERSION,
        "author": author.name,
        "check": told.check(names.name),
        "decode": told.arguments(names.name),
        "default_strategy": _defaults.STRATEGY,
        "distribution": names.distribution,
        "has_licence": author.licence != "none",
        "kind": kind,
        "licence": author.licence,
        "licence_file": "" if author.licence == "none" else "LICENSE",  # no name: left out
        "name": names.name,
        "noun": told.noun,
        "package": names.package,
        "quoted_author": json.dumps(author.name, ensure_ascii=False),
        "quoted_name": json.dumps(names.name) if "." in names.name else names.name,
        "release": ".".join(metadata.version("specframe").split(".")[:2]),
        "stem": names.stem,
        "sentence": f"{summary[0].upper()}{summary[1:]}.",
        "summary": summary,
        "year": author.year,
    }


def _render(folder: Path, kind: KindName, data: dict[str, object]) -> None:
    """Write what all packages share, then what this kind adds."""
    environment = _environment()
    for part in ("shared", kind):
        for name, source in _sources(environment, TEMPLATE / part, data):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if source.suffix == FILLED:
                template = environment.get_template(source.relative_to(TEMPLATE).as_posix())
                path.write_bytes(template.render(data).encode("utf-8"))
            else:
                path.write_bytes(source.read_bytes())


def _environment() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415 (the command line lists its commands without it)

    return jinja2.Environment(  # noqa: S701 (Python and TOML need no escapes of HTML)
        loader=jinja2.FileSystemLoader(TEMPLATE),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        lstrip_blocks=True,
        trim_blocks=True,
    )


def _sources(
    environment: jinja2.Environment, part: Path, data: dict[str, object]
) -> Iterator[tuple[str, Path]]:
    """Yield each file's path in the package and its source; files without a name are left out."""
    for source in sorted(path for path in part.rglob("*") if path.is_file()):
        pattern = source.relative_to(part).as_posix().removesuffix(FILLED)
        name = environment.from_string(pattern).render(data)
        if name and not name.endswith("/"):
            yield name, source


def _move(rendered: Path, there: Path) -> None:
    """Move the package to its place; an empty folder is kept, since a shell may be in it."""
    there.parent.mkdir(parents=True, exist_ok=True)
    if not there.exists():
        rendered.rename(there)
        return
    for path in tuple(rendered.iterdir()):
        path.rename(there / path.name)

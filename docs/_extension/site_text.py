"""Fit the text of a page to the site: a page is read in the repository, too."""

from __future__ import annotations

import re
from pathlib import Path

OUTWARD = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<target>\.\./[^)#\s]+)(?:#[^)\s]*)?\)")
PATTERN = re.compile(r"^(?P<start>[a-z-]+)\*\n", flags=re.MULTILINE)


def without_outward_links(text: str, page: Path, docs: Path) -> str:
    """Reduce a link out of ``docs`` to its words and path, but for files to download.

    The site has neither the folders of the repository nor its other Markdown files.
    """

    def settled(link: re.Match[str]) -> str:
        target = (page.parent / link["target"]).resolve()
        is_there = target.is_relative_to(docs) or (target.is_file() and target.suffix != ".md")
        if is_there or not target.is_relative_to(docs.parent):
            return link[0]
        path = target.relative_to(docs.parent)
        return f"{link['text']} (`{path.as_posix()}`)"

    return OUTWARD.sub(settled, text)


def without_empty_patterns(text: str, docs: Path) -> str:
    """Leave out entries of a toctree like ``page*`` where there is no such page."""
    return PATTERN.sub(lambda found: found[0] * any(docs.glob(f"{found['start']}*.md")), text)

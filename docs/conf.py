"""Build the documentation site: ``make docs``, which turns warnings into errors."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent / "_extension"))

from reference_pages import with_generated

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "specframe"
author = "the specframe authors"
copyright = "the specframe authors, Apache-2.0"  # noqa: A001 (Sphinx reads it by this name)
version = release = version_of("specframe")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_extension"]
root_doc = "index"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
add_module_names = False

smartquotes = False  # a flag begins with two hyphens
html_theme = "furo"
html_title = f"specframe {version}"
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = False


def setup(app: Sphinx) -> None:
    """Put generated text in its place when a page is read."""
    app.connect("source-read", fill_in)


def fill_in(app: Sphinx, _: str, content: list[str]) -> None:
    """Replace the requests of a page by what they ask for."""
    content[0] = without_empty_patterns(with_generated(content[0]), app.srcdir)


def without_empty_patterns(text: str, folder: Path) -> str:
    """Leave out entries of a toctree like ``page*`` where there is no such page."""
    pattern = re.compile(r"^([a-z-]+)\*\n", flags=re.MULTILINE)
    return pattern.sub(lambda found: found[0] * any(folder.glob(f"{found[1]}*.md")), text)

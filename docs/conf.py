"""Build the documentation site: ``make docs``, which turns warnings into errors."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent / "_extension"))

from reference_pages import with_generated
from site_text import without_empty_patterns, without_outward_links

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


def fill_in(app: Sphinx, name: str, content: list[str]) -> None:
    """Replace the requests of a page by what they ask for, and what the site does not have."""
    docs = app.srcdir
    text = without_empty_patterns(with_generated(content[0]), docs)
    content[0] = without_outward_links(text, docs / name, docs)

"""Sphinx's settings for the site; `python -m website` copies this folder and adds the pages."""

from __future__ import annotations

import os

import gradwidgets

project = "gradwidgets"
author = "The gradwidgets authors"
release = gradwidgets.__version__
copyright = "the gradwidgets authors, BSD-3-Clause"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
suppress_warnings = ["mystnb.unknown_mime_type"]

nb_execution_mode = "off"  # what is run is run before, and only where something has changed
nb_ipywidgets_js: dict[str, object] = {}  # the pages have no widgets, and load nothing for them
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "imported-members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
add_module_names = False

html_theme = "sphinx_book_theme"
html_title = "gradwidgets"
html_baseurl = os.environ.get("SITE_ADDRESS", "")
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css", "predict.css"]
html_js_files = [("predict.js", {"defer": "defer"}), ("site.js", {"defer": "defer"})]
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # it would fetch pages, which a browser refuses for files
html_last_updated_fmt = None
html_context = {"default_mode": "auto"}  # as the system has it, until the reader chooses
html_theme_options = {
    "use_download_button": False,  # a lesson has a row of its own
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # the side bar has the search already
    "show_toc_level": 2,
    "home_page_in_toc": False,
    "navigation_with_keys": False,
    "repository_url": os.environ.get("SITE_REPOSITORY", ""),
    "use_repository_button": bool(os.environ.get("SITE_REPOSITORY")),
    "use_issues_button": bool(os.environ.get("SITE_REPOSITORY")),
}

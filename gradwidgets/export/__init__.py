"""A lab as one HTML file whose slider needs neither a kernel nor a network."""

from gradwidgets.export.page import save_page

__all__ = ["save_page"]

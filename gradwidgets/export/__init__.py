"""A lab as one HTML file whose sliders need neither a kernel nor a network."""

from gradwidgets.export.grid import MOST_RUNS
from gradwidgets.export.page import save_page

__all__ = ["MOST_RUNS", "save_page"]

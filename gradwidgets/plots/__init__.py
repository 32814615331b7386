"""Histories as pictures: `figure` for one that stays, `Canvas` for one that lives."""

from gradwidgets.plots.canvas import Canvas
from gradwidgets.plots.panels import OF_PARAMETERS, PANELS, Panel, make, suited
from gradwidgets.plots.run_style import Shown
from gradwidgets.plots.theme import DARK, LIGHT, Theme

__all__ = [
    "DARK",
    "LIGHT",
    "OF_PARAMETERS",
    "PANELS",
    "Canvas",
    "Panel",
    "Shown",
    "Theme",
    "make",
    "suited",
]

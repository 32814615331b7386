"""Histories as pictures: `figure` for one that stays, `Canvas` for one that lives."""

from gradwidgets.plots.canvas import Canvas
from gradwidgets.plots.lines import ACCURACY, GRADIENT, LOSS, RATIO, LinePanel, Series
from gradwidgets.plots.pane import apart
from gradwidgets.plots.panels import OF_PARAMETERS, PANELS, Panel, make, suited
from gradwidgets.plots.run_style import RunStyle
from gradwidgets.plots.scale import Limits
from gradwidgets.plots.theme import DARK, LIGHT, Theme

__all__ = [
    "ACCURACY",
    "Canvas",
    "DARK",
    "GRADIENT",
    "LIGHT",
    "LOSS",
    "Limits",
    "LinePanel",
    "OF_PARAMETERS",
    "PANELS",
    "Panel",
    "RATIO",
    "Series",
    "RunStyle",
    "Theme",
    "apart",
    "make",
    "suited",
]

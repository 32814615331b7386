"""Histories as pictures: a `Canvas` draws them, `describe` says in words what they show."""

from gradwidgets.plots.canvas import Canvas
from gradwidgets.plots.labels import placed_labels
from gradwidgets.plots.lines import ACCURACY, GRADIENT, LOSS, RATIO, LinePanel, Series
from gradwidgets.plots.panels import OF_PARAMETERS, make, suited
from gradwidgets.plots.scale import Limits
from gradwidgets.plots.style import DARK, LIGHT, StyledRun, Theme
from gradwidgets.plots.words import describe, over_seeds

__all__ = [
    "ACCURACY",
    "DARK",
    "GRADIENT",
    "LIGHT",
    "LOSS",
    "OF_PARAMETERS",
    "RATIO",
    "Canvas",
    "Limits",
    "LinePanel",
    "Series",
    "StyledRun",
    "Theme",
    "describe",
    "make",
    "over_seeds",
    "placed_labels",
    "suited",
]

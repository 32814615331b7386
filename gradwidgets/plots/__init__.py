"""Histories as pictures: a `Canvas` draws them, `describe` says in words what they show."""

from gradwidgets.plots.canvas import Canvas
from gradwidgets.plots.labels import placed_labels, wrapped
from gradwidgets.plots.lines import (
    GRADIENT,
    LOSS,
    LOST,
    LR,
    RATIO,
    LinePanel,
    Series,
    held_out_panel,
)
from gradwidgets.plots.outcome_bars import Outcome, OutcomeBars, bars_of, outcome, outcome_bars
from gradwidgets.plots.panels import OF_PARAMETERS, make, suited
from gradwidgets.plots.plane import BoundaryPanel, SurfacePanel, path_of
from gradwidgets.plots.scale import Limits, vertical
from gradwidgets.plots.style import DARK, LIGHT, StyledRun, Theme
from gradwidgets.plots.words import describe, over_seeds

__all__ = [
    "DARK",
    "BoundaryPanel",
    "Outcome",
    "SurfacePanel",
    "bars_of",
    "outcome",
    "path_of",
    "vertical",
    "GRADIENT",
    "LIGHT",
    "LOSS",
    "LOST",
    "LR",
    "OF_PARAMETERS",
    "RATIO",
    "Canvas",
    "Limits",
    "LinePanel",
    "OutcomeBars",
    "Series",
    "StyledRun",
    "Theme",
    "describe",
    "make",
    "held_out_panel",
    "outcome_bars",
    "over_seeds",
    "placed_labels",
    "suited",
    "wrapped",
]

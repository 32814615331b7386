"""Widgets: choose a recipe, ask for its history, draw it."""

from gradwidgets.widgets.lab import GradLab
from gradwidgets.widgets.stepper import Stepper

__all__ = ["GradLab", "Stepper"]

"""Widgets: choose a recipe, ask for its history, draw it."""

from gradwidgets.widgets.lab import GradLab

__all__ = ["GradLab"]

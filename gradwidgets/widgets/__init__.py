"""Widgets: choose a recipe, ask for its history, draw it."""

from gradwidgets.widgets.lab import GradLab
from gradwidgets.widgets.ledger_view import Ledger
from gradwidgets.widgets.meter_view import Meter
from gradwidgets.widgets.stepper import Stepper

__all__ = ["GradLab", "Ledger", "Meter", "Stepper"]

"""Widgets: choose a recipe, ask for its history, draw it."""

from gradwidgets.lab.lab import GradLab
from gradwidgets.ledger.view import Ledger
from gradwidgets.meter.view import Meter
from gradwidgets.stepper.view import Stepper

__all__ = ["GradLab", "Ledger", "Meter", "Stepper"]

"""Many values of one setting, trained in one run."""

from gradwidgets.sweep.fit import FIELDS
from gradwidgets.sweep.sweep import Sweep, sweep

__all__ = ["FIELDS", "Sweep", "sweep"]

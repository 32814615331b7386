"""Many values of one setting, trained in one run."""

from gradwidgets.sweep.eligibility import FEW, SWEPT_TOGETHER
from gradwidgets.sweep.sweep import Sweep, sweep

__all__ = ["FEW", "SWEPT_TOGETHER", "Sweep", "sweep"]

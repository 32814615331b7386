"""Many values of one setting, trained in one run."""

from gradwidgets.sweep.eligibility import SWEPT_TOGETHER
from gradwidgets.sweep.sweep import Sweep, sweep

__all__ = ["SWEPT_TOGETHER", "Sweep", "sweep"]

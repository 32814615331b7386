"""The loop, its settings and what it leaves behind. Needs torch and numpy, nothing else."""

from gradwidgets.core import problems
from gradwidgets.core.control import Control
from gradwidgets.core.edits import Clip, Edit, Mask, Penalty, Scale, edit_gradients
from gradwidgets.core.errors import TrainingError
from gradwidgets.core.history import History
from gradwidgets.core.problem import Problem
from gradwidgets.core.recipe import Recipe
from gradwidgets.script.program import script
from gradwidgets.sweep.sweep import sweep
from gradwidgets.core.loop import Run, live, train

__all__ = [
    "Clip",
    "Control",
    "Edit",
    "History",
    "Mask",
    "Penalty",
    "Problem",
    "Recipe",
    "Run",
    "Scale",
    "TrainingError",
    "edit_gradients",
    "live",
    "problems",
    "script",
    "sweep",
    "train",
]

"""gradwidgets: learn what `.grad` does by changing it.

The core is imported at once; what needs matplotlib and ipywidgets when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily
from gradwidgets.checkup import checkup  # the function, as the name of the package's member
from gradwidgets.core import (
    Clip,
    History,
    Mask,
    Penalty,
    Problem,
    Recipe,
    Scale,
    TrainingError,
    edit_gradients,
    problems,
    train,
)
from gradwidgets.script import script
from gradwidgets.sweep import sweep

if TYPE_CHECKING:
    from gradwidgets import grading
    from gradwidgets.lab import GradLab
    from gradwidgets.ledger import Ledger, conflicts
    from gradwidgets.lessons import Predict, Scene, Walkthrough
    from gradwidgets.meter import Meter
    from gradwidgets.stepper import Stepper

__version__ = "0.1.0"
__all__ = [
    "Recipe",
    "Problem",
    "problems",
    "train",
    "sweep",
    "script",
    "History",
    "TrainingError",
    "Scale",
    "Mask",
    "Penalty",
    "Clip",
    "edit_gradients",
    "checkup",
    "conflicts",
    "GradLab",
    "Stepper",
    "Ledger",
    "Meter",
    "Predict",
    "Walkthrough",
    "Scene",
    "grading",
]

__getattr__ = lazily(
    __name__,
    {
        "GradLab": "gradwidgets.lab",
        "Stepper": "gradwidgets.stepper",
        "Ledger": "gradwidgets.ledger",
        "conflicts": "gradwidgets.ledger",
        "Meter": "gradwidgets.meter",
        "Predict": "gradwidgets.lessons",
        "Walkthrough": "gradwidgets.lessons",
        "Scene": "gradwidgets.lessons",
        "grading": "",
    },
)


def __dir__() -> list[str]:
    return __all__

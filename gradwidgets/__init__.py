"""gradwidgets: learn what `.grad` does by changing it.

The core is imported at once; what needs matplotlib and ipywidgets when it is first used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

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
    late_compiler,
    problems,
    script,
    sweep,
    train,
)

if TYPE_CHECKING:
    from gradwidgets.lessons import Predict, Scene, Walkthrough, grading
    from gradwidgets.widgets import GradLab, Ledger, Meter, Stepper

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
    "GradLab",
    "Stepper",
    "Ledger",
    "Meter",
    "Predict",
    "Walkthrough",
    "Scene",
    "grading",
]

_LATER = {
    "GradLab": "gradwidgets.widgets",
    "Stepper": "gradwidgets.widgets",
    "Ledger": "gradwidgets.widgets",
    "Meter": "gradwidgets.widgets",
    "Predict": "gradwidgets.lessons",
    "Walkthrough": "gradwidgets.lessons",
    "Scene": "gradwidgets.lessons",
    "grading": "gradwidgets.lessons",
}

if os.environ.get("GRADWIDGETS_LATE_COMPILER"):
    late_compiler.install()


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
